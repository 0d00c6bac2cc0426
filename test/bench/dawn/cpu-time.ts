/** Milliseconds that this process has computed so far, on all cores: on a software adapter, the adapter's work too. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
