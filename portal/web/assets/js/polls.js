// Panels that renew themselves: data-hx-get, data-hx-trigger="every 15s", data-hx-swap="innerMorph".
// Morphing keeps focus, selection and scroll. Nothing is asked for while the page is not looked at,
// and a panel that was not answered says so itself: its time stays the one it had.
const isPoll = (el) => /(^|,)\s*every\b/.test(el?.getAttribute?.('data-hx-trigger') ?? '');

document.addEventListener('htmx:before:request', (event) => {
  if (document.hidden && isPoll(event.target)) event.preventDefault();
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  document.querySelectorAll('[data-hx-trigger]').forEach((el) => { if (isPoll(el)) window.htmx?.trigger(el, 'every'); });
});

document.addEventListener('htmx:finally:request', (event) => {
  const panel = event.target.closest?.('[data-stale-note]');
  if (!panel || !isPoll(panel)) return;
  const note = document.getElementById(panel.dataset.staleNote);
  const ok = event.detail.ctx.response && event.detail.ctx.response.status < 400;
  if (note) note.hidden = Boolean(ok);
});
