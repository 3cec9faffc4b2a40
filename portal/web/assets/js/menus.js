// Menus are <details>, which open and close by themselves. This adds Escape and a click elsewhere.
const openMenus = () => document.querySelectorAll('details.menu[open]');

document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  openMenus().forEach((menu) => {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector('summary').focus();
  });
});

document.addEventListener('click', (event) => {
  openMenus().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});

// Leaving a menu with the Tab key closes it, so that it does not cover what has the focus.
document.addEventListener('focusin', (event) => {
  openMenus().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});
