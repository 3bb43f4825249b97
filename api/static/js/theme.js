/** Light or dark: as the system has it, until someone chooses. Runs before the page shows. */

const CHOICES = ["system", "light", "dark"];

export const theme = () => (CHOICES.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "system");

export function setTheme(choice) {
  localStorage.setItem("theme", choice);
  apply();
}

export const nextTheme = () => CHOICES[(CHOICES.indexOf(theme()) + 1) % CHOICES.length];

function apply() {
  if (theme() === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme();
}

apply();
