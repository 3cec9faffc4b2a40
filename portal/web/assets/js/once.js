// The double-click guard: a form with data-once is sent once until an answer comes.
// The button is not disabled, because a disabled button would not send its name and value.
// The server has a guard of its own; this one only shows that something is happening.
const release = (form) => {
  delete form.dataset.sent;
  form.querySelectorAll('[aria-busy="true"]').forEach((button) => {
    button.removeAttribute('aria-busy');
    button.removeAttribute('aria-disabled');
  });
};

document.addEventListener('submit', (event) => {
  const form = event.target;
  const button = event.submitter;
  if (!('once' in form.dataset) && !(button && 'once' in button.dataset)) return;
  if (form.dataset.sent) {
    event.preventDefault();
    event.stopImmediatePropagation();
    return;
  }
  // Another listener may still refuse the submission, so the mark is set after they have run.
  setTimeout(() => {
    if (event.defaultPrevented && !form.querySelector('[data-hx-post]') && !form.matches('[data-hx-post],[hx-post]')) return;
    form.dataset.sent = 'yes';
    button?.setAttribute('aria-busy', 'true');
    button?.setAttribute('aria-disabled', 'true');
  });
}, true);

document.addEventListener('htmx:finally:request', (event) => {
  const form = event.target.closest?.('form[data-sent]');
  if (form) release(form);
});

// A page that comes back from the history has its buttons ready again.
window.addEventListener('pageshow', (event) => {
  if (event.persisted) document.querySelectorAll('form[data-sent]').forEach(release);
});
