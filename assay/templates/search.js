// A box that narrows the list of all pages and headings to those that hold each word, or have it below them. It only hides entries, so the
// page is complete without it, and no text becomes HTML.
document.addEventListener('DOMContentLoaded', () => {
  const list = document.querySelector('ul.places');
  const folded = list.closest('details');
  const label = document.createElement('label');
  const box = document.createElement('input');
  const count = document.createElement('p');
  const plain = text => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase(); // é is e
  const narrow = () => {
    const words = plain(box.value).split(/\s+/).filter(Boolean);
    let found = 0;
    for (const entry of list.children) {
      const said = plain(`${entry.textContent} ${entry.dataset.words ?? ''}`);
      entry.hidden = !words.every(word => said.includes(word));
      found += entry.hidden ? 0 : 1;
    }
    folded.hidden = words.length > 0 && !found;
    folded.open = words.length > 0 && found > 0;
    count.textContent = !words.length ? '' : found ? `${found} of ${list.children.length} places` :
      'Nothing found: no page, and no text below a heading, holds these words. Try fewer or shorter ones.';
  };
  label.textContent = 'Search these pages ';
  box.type = 'search';
  count.setAttribute('role', 'status');
  label.append(box);
  folded.before(label, count);
  box.addEventListener('input', narrow);
  box.addEventListener('keydown', event => {
    if (event.key === 'Escape') { box.value = ''; narrow(); }
    if (event.key === 'Enter' && folded.open) list.querySelector('li:not([hidden]) a')?.click();
  });
});
