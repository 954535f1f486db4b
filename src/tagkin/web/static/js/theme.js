// Runs before the page is painted, so that it doesn't flash in the other theme.
(() => {
  const stored = () => {
    try {
      return localStorage.getItem("tagkin-theme");
    } catch {
      return null;
    }
  };
  const theme = stored();
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
