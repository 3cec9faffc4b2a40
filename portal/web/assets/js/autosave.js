// Saves single fields while a person types.
//   <form data-autosave="URL" data-revision="7"> … <input data-autosave-field> …
//   <p data-autosave-status data-saving="…" data-lost="…" data-refused="…" aria-live="polite">
// One field a request, one request at a time: csrf_token, field, revision and the field's own values.
// The server answers with a fragment for the status ("Saved at 10:02") and the header X-Revision.
// 409 and 422 are answers too: their fragment says what is in the way, and what was typed stays.
// No answer, or 5xx, or 429: tried again, later and later, and at once when the network is back.
const WAIT_TYPING_MS = 900;
const WAITS_LOST_MS = [2000, 5000, 15000, 30000, 60000];

function startAutosave(form) {
  const status = form.querySelector('[data-autosave-status]') ?? document.getElementById(form.dataset.autosaveStatus ?? '');
  const waiting = new Map();
  let timer = 0;
  let sending = false;
  let failures = 0;

  const say = (text) => { if (status && text && status.textContent !== text) status.textContent = text; };
  const later = (ms) => { clearTimeout(timer); timer = setTimeout(send, ms); };

  const bodyOf = (name) => {
    const body = new URLSearchParams({csrf_token: csrfToken(), field: name, revision: form.dataset.revision ?? ''});
    new FormData(form).getAll(name).forEach((value) => { if (typeof value === 'string') body.append(name, value); });
    return body;
  };

  async function send() {
    if (sending || !waiting.size) return;
    const [name] = waiting.keys();
    waiting.delete(name);
    sending = true;
    say(status?.dataset.saving);
    try {
      const answer = await fetch(form.dataset.autosave, {
        method: 'POST', body: bodyOf(name), credentials: 'same-origin', redirect: 'manual',
        headers: {'X-CSRFToken': csrfToken(), 'X-Autosave': '1', Accept: 'text/html'},
      });
      await settle(answer);
      failures = 0;
      if (waiting.size) later(0);
    } catch {
      if (!waiting.has(name)) waiting.set(name, true);
      say(status?.dataset.lost);
      later(WAITS_LOST_MS[Math.min(failures, WAITS_LOST_MS.length - 1)]);
      failures += 1;
    } finally {
      sending = false;
    }
  }

  async function settle(answer) {
    if (answer.status >= 500 || answer.status === 429) throw new Error(String(answer.status));
    const revision = answer.headers.get('X-Revision');
    if (revision) form.dataset.revision = revision;
    // A redirect means that the sign-in has ended, and 400 or 403 that the page is too old.
    const understood = answer.ok || answer.status === 409 || answer.status === 422;
    if (!understood) { say(status?.dataset.refused); return; }
    if (status) {
      status.innerHTML = await answer.text();
      window.htmx?.process(status);
    }
  }

  const note = (event, wait) => {
    const field = event.target.closest('[data-autosave-field]');
    if (!field?.name || field.form !== form || field.type === 'file' || field.type === 'password') return;
    waiting.set(field.name, true);
    if (!failures) later(wait);
  };
  form.addEventListener('input', (event) => note(event, WAIT_TYPING_MS));
  form.addEventListener('change', (event) => note(event, 0));
  window.addEventListener('online', () => { failures = 0; later(0); });
  // The form itself carries every value, so sending it replaces what still waits.
  form.addEventListener('submit', () => { waiting.clear(); clearTimeout(timer); });
  window.addEventListener('beforeunload', (event) => { if (failures && waiting.size) event.preventDefault(); });
}

document.querySelectorAll('form[data-autosave]').forEach(startAutosave);
