// Makes one element like another with as few changes as possible: what has the focus keeps it, what a reader opened
// stays open, marked text stays marked, and nothing that is the same is touched.

const KEPT = { DETAILS: ["open"], DIALOG: ["open"] };

export function morph(current, next) {
  if (current.isEqualNode(next)) return current;
  if (current.nodeName !== next.nodeName || current.id !== next.id) {
    current.replaceWith(next);
    activate(next);
    return next;
  }
  attributes(current, next);
  children(current, next);
  return current;
}

function attributes(current, next) {
  const kept = KEPT[current.nodeName] ?? [];
  // Which item of a row can be tabbed to is the reader's doing, not the server's.
  const own = (name) => kept.includes(name) || (name === "tabindex" && current.hasAttribute("data-roving-item"));
  for (const { name } of [...current.attributes]) {
    if (!next.hasAttribute(name) && !own(name)) current.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (!own(name) && current.getAttribute(name) !== value) current.setAttribute(name, value);
  }
}

function children(current, next) {
  let place = current.firstChild;
  for (const wanted of [...next.childNodes]) {
    const match = matching(current, place, wanted);
    if (!match) {
      current.insertBefore(wanted, place);
      activate(wanted);
      continue;
    }
    if (match !== place) current.insertBefore(match, place);
    else place = place.nextSibling;
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, wanted);
    else if (match.nodeValue !== wanted.nodeValue) match.nodeValue = wanted.nodeValue;
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

function matching(parent, place, wanted) {
  if (wanted.id) {
    const found = parent.ownerDocument.getElementById(wanted.id);
    return found?.parentNode === parent ? found : null;
  }
  if (!place || place.id || place.nodeName !== wanted.nodeName) return null;
  return place;
}

function activate(node) {
  if (node.nodeType === Node.ELEMENT_NODE) window.htmx?.process(node);
}
