// Shared by the other files of this folder. Everything here only saves a reload or a mistake:
// each page works without it.
const csrfToken = () => document.querySelector('meta[name="csrf-token"]')?.content ?? '';

// htmx sends the token of the page with whatever changes something.
document.addEventListener('htmx:config:request', (event) => {
  const request = event.detail.ctx.request;
  if (request.method !== 'GET') request.headers['X-CSRFToken'] = csrfToken();
});

// Controls that are of no use without scripts are hidden by the server and shown here.
const reveal = (root) => root.querySelectorAll?.('[data-needs-script][hidden]').forEach((el) => { el.hidden = false; });
reveal(document);
document.addEventListener('htmx:after:settle', (event) => reveal(event.target));
