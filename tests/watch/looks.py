"""What is measured of a page's looks, in the page."""

PHONE = {"width": 375, "height": 800}

# Texts whose contrast is below what WCAG 2.2 asks of normal text (success criterion 1.4.3).
FAINT = """() => {
  const rgba = (text) => { const n = text.match(/[\\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (el) => {
    for (; el; el = el.parentElement) {
      const c = rgba(getComputedStyle(el).backgroundColor);
      if (c[3] === 1) return c;
    }
    return [255, 255, 255, 1];
  };
  const faint = [];
  for (const el of document.querySelectorAll("body *")) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !el.checkVisibility() || el.closest("option, noscript, .unseen")) continue;
    const [a, b] = [luminance(rgba(getComputedStyle(el).color)), luminance(behind(el))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) faint.push(`${el.tagName}.${el.className} "${el.textContent.trim().slice(0, 30)}": ${ratio.toFixed(2)}`);
  }
  return faint;
}"""

# Pixels of chart n that have the colour of its line "fin".
COLOURED = """(n) => {
  const figure = document.querySelector(`figure:nth-child(${n})`);
  const canvas = figure.querySelector("canvas");
  const wanted = getComputedStyle([...figure.querySelectorAll(".legend button")].find((b) => b.textContent.includes("fin")).firstChild).backgroundColor.match(/\\d+/g).map(Number);
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let found = 0;
  for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] > 250 && wanted.every((c, k) => Math.abs(pixels[i + k] - c) < 3)) found++;
  return found;
}"""
