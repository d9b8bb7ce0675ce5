// Runs before the first paint, so that nobody who chose colours sees the other ones flash.
(() => {
  const KEY = "clustercore-theme";
  const CHOICES = ["system", "light", "dark"];
  const read = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return CHOICES.includes(kept) ? kept : "system";
    } catch {
      return "system";
    }
  };
  const apply = (choice) => {
    if (choice === "system") document.documentElement.removeAttribute("data-theme");
    else document.documentElement.dataset.theme = choice;
  };
  apply(read());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme-switch");
    if (!button) return;
    const show = (choice) => {
      button.setAttribute("aria-label", `Colours: ${choice === "system" ? "as the system" : choice}`);
      button.title = button.getAttribute("aria-label");
    };
    show(read());
    button.hidden = false;
    button.addEventListener("click", () => {
      const next = CHOICES[(CHOICES.indexOf(read()) + 1) % CHOICES.length];
      try {
        localStorage.setItem(KEY, next);
      } catch {
        // Without storage the choice lasts for this page.
      }
      apply(next);
      show(next);
    });
  });
})();
