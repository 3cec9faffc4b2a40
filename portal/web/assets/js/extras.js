// Copying code, counting characters, and the focus on an error summary.
document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('[data-copy]');
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) return;
  await navigator.clipboard.writeText(source.textContent);
  const word = button.querySelector('[data-copy-word]');
  if (!word || !button.dataset.copied) return;
  const before = word.textContent;
  word.textContent = button.dataset.copied;
  setTimeout(() => { word.textContent = before; }, 2000);
});

const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
document.addEventListener('input', (event) => {
  const counter = event.target.id && document.querySelector(`[data-count-of="${CSS.escape(event.target.id)}"]`);
  // Code points, as the server counts them.
  if (counter) counter.textContent = grouped([...event.target.value.replace(/\r?\n/g, '\n')].length);
});

// After a form was refused, the summary is what a screen reader should hear first.
document.querySelector('[data-error-summary]')?.focus();
