// Light, dark, or as the system has it; kept in this browser.

const KEPT = "iofold-theme";
const CHOICES = [["", "As the system"], ["light", "Light"], ["dark", "Dark"]];

const chosen = () => localStorage.getItem(KEPT) ?? "";

function apply(theme) {
  if (theme === "") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function choose(theme) {
  localStorage.setItem(KEPT, theme);
  apply(theme);
}

/** The choices, as items of a menu. */
export const themeItems = () =>
  CHOICES.map(([theme, text]) => ({ text, checked: theme === chosen(), run: () => choose(theme) }));

apply(chosen());
