// The service worker of `npm run demo`: none. Every project that is developed on localhost:5173 shares that origin, so one that
// an earlier release left there ends here, with the page's files that it kept.
addEventListener('install', (event) => event.waitUntil(skipWaiting()));
addEventListener('activate', (event) => event.waitUntil(retire()));

async function retire() {
  const prefix = `tabserve-page ${registration.scope} `;
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith(prefix)).map((name) => caches.delete(name)));
  await registration.unregister();
}
