export type Theme = 'light' | 'dark';

export const SYSTEM_DARK = matchMedia('(prefers-color-scheme: dark)');

/** The name under which index.html finds the choice before the first paint. */
const STORAGE_KEY = 'tabserve.theme';

/** The user's choice, else the system's. */
export function currentTheme(): Theme {
  const chosen = document.documentElement.dataset['theme'];
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return SYSTEM_DARK.matches ? 'dark' : 'light';
}

/** Switches, remembers, and returns what is on now. */
export function toggleTheme(): Theme {
  const theme = currentTheme() === 'dark' ? 'light' : 'dark';
  document.documentElement.dataset['theme'] = theme;
  try {
    localStorage.setItem(STORAGE_KEY, theme);
  } catch {
    // Storage is forbidden: the choice holds until the page is left.
  }
  return theme;
}
