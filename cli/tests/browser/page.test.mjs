// The page of `graceshut report --html` in a real browser: Chromium, headless, with no network.
// Needs GRACESHUT (the command), CHROMIUM (the browser), and for UPDATE=1 writes the screenshots in docs/.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const reports = join(here, '..', 'reports');
const folder = mkdtempSync(join(tmpdir(), 'graceshut-page-'));
const languages = ['c', 'fastapi', 'fastify', 'go', 'java', 'node', 'python', 'rust'];
let browser;

function page(name, ...files) {
  const path = join(folder, name);
  execFileSync(process.env.GRACESHUT, ['report', '--html', '-o', path, ...files.map((f) => join(reports, f))]);
  return pathToFileURL(path).href;
}

before(async () => {
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

// Opens the page offline; whatever it asks for besides itself, and whatever the console says, is a failure.
async function open(url, { width, colorScheme }) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, offline: true, deviceScaleFactor: 2 });
  const tab = await context.newPage();
  const complaints = [];
  tab.on('console', (m) => complaints.push(`console ${m.type()}: ${m.text()}`));
  tab.on('pageerror', (e) => complaints.push(`error: ${e.message}`));
  tab.on('request', (r) => { if (r.url() !== url && !r.url().startsWith('data:')) complaints.push(`request: ${r.url()}`); });
  await tab.goto(url);
  return { tab, complaints, context };
}

const luminance = (css) => {
  const [r, g, b] = css.match(/[\d.]+/g).map(Number).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a, b) => {
  const [x, y] = [luminance(a), luminance(b)].sort((m, n) => n - m);
  return (x + 0.05) / (y + 0.05);
};

for (const colorScheme of ['light', 'dark']) {
  for (const width of [360, 1000]) {
    test(`every language, ${colorScheme}, ${width} px`, async () => {
      const { tab, complaints, context } = await open(page(`all-${colorScheme}-${width}.html`, 'demo.json'), { width, colorScheme });
      assert.deepEqual(complaints, []);
      const seen = await tab.evaluate(() => {
        const background = getComputedStyle(document.body).backgroundColor;
        const texts = [...document.querySelectorAll('h1, h2, .summary, .figure, .figure b, .name, .note, td, th')];
        const panel = getComputedStyle(document.querySelector('section')).backgroundColor;
        return {
          scrolls: document.documentElement.scrollWidth > document.documentElement.clientWidth,
          background,
          colours: [...new Set(texts.map((t) => getComputedStyle(t).color))],
          panel,
          smallest: Math.min(...texts.map((t) => parseFloat(getComputedStyle(t).fontSize))),
          headings: [...document.querySelectorAll('h2')].map((h) => h.firstChild.textContent.trim()),
          // A bar that sticks out of its track, a label cut off by its box.
          bars: [...document.querySelectorAll('.bar')].map((b) => {
            const track = b.getBoundingClientRect();
            return [...b.querySelectorAll('.used')].every((u) => {
              const r = u.getBoundingClientRect();
              return r.width >= 2 && r.left >= track.left - 1 && r.left <= track.right;
            }) && track.width > 80;
          }),
          cut: texts.filter((t) => !t.closest('.wide') && t.scrollWidth > t.clientWidth + 1 && getComputedStyle(t).display !== 'inline').length,
        };
      });
      assert.equal(seen.scrolls, false, 'the page scrolls sideways');
      assert.equal(luminance(seen.background) < 0.5, colorScheme === 'dark', seen.background);
      for (const colour of seen.colours) assert.ok(contrast(colour, seen.panel) >= 4.5, `${colour} on ${seen.panel}`);
      assert.ok(seen.smallest >= 12, `${seen.smallest} px`);
      assert.ok(languages.every((l) => seen.headings.includes(l)), seen.headings.join());
      assert.ok(seen.bars.length >= languages.length * 10 && seen.bars.every(Boolean), 'a bar is not where it belongs');
      assert.equal(seen.cut, 0, 'text is cut off');
      await context.close();
    });
  }
}

test('one forced shutdown and one clean: bars follow one another', async () => {
  const { tab, complaints, context } = await open(page('two.html', 'forced.json', 'clean.json'), { width: 1000, colorScheme: 'light' });
  assert.deepEqual(complaints, []);
  const edges = await tab.evaluate(() => [...[...document.querySelectorAll('section')].find((s) => s.querySelector('.badge.bad'))
    .querySelectorAll('.phase .used')].map((u) => [u.getBoundingClientRect().left, u.getBoundingClientRect().right]));
  assert.equal(edges.length, 5);
  for (let i = 1; i < edges.length; i++) assert.ok(Math.abs(edges[i][0] - edges[i - 1][1]) < 6, JSON.stringify(edges));
  assert.ok(await tab.locator('.warning').count() >= 1);
  await context.close();
});

test('screenshots for the documentation', { skip: !process.env.UPDATE }, async () => {
  const docs = join(here, '..', '..', '..', 'docs');
  for (const [name, file, width, colorScheme, height] of [
    ['report-forced', 'forced.json', 900, 'light', 620], ['report-phone-dark', 'clean.json', 360, 'dark', 760],
  ]) {
    const { tab, context } = await open(page(`${name}.html`, file), { width, colorScheme });
    await tab.setViewportSize({ width, height });
    await tab.screenshot({ path: join(docs, `${name}.png`) });
    await context.close();
  }
});
