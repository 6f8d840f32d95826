/** `postern dashboard` in Debian's Chromium. With POSTERN_SCREENSHOTS=FOLDER it leaves pictures there. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { formatEndpoint } from '../../src/pt/address.ts';
import { startCommand } from '../support/command.ts';
import {
  connectThrough,
  startBridge,
  startClient,
  startEngine,
  type TestEngine,
} from '../support/engine.ts';
import { peerProgram } from '../support/peers.ts';
import { closedPort, listen } from '../support/sockets.ts';

const executablePath = peerProgram('chromium');
const folder = process.env['POSTERN_SCREENSHOTS'];

async function launch(t: TestContext): Promise<Browser> {
  // Without a sandbox of its own: root has none, and nothing but our own page is opened.
  const browser = await chromium.launch({
    executablePath: executablePath!,
    args: ['--no-sandbox'],
  });
  t.after(() => browser.close());
  return browser;
}

/** A page of a size and colour, and everything that its console holds against it. */
async function open(
  browser: Browser,
  url: string,
  width: number,
  height: number,
  colorScheme: 'light' | 'dark',
) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => {
    if (!request.url().endsWith('/events')) complaints.push(`${request.url()} failed`);
  });
  await page.goto(url);
  return { page, complaints };
}

/** Resolves when the text of an element looks so. */
const textIs = (page: Page, selector: string, hasText: RegExp): Promise<void> =>
  page.locator(selector, { hasText }).waitFor({ state: 'attached' });

async function shoot(page: Page, name: string, fullPage = true): Promise<void> {
  if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`), fullPage });
}

/** A stream that moves bytes until the test has ended. */
async function traffic(t: TestContext, client: TestEngine): Promise<void> {
  const target = await listen(t, (socket) => {
    socket.on('data', (chunk: Buffer) => socket.write(chunk.subarray(chunk.length / 3)));
  });
  const stream = await connectThrough(client, target.endpoint);
  stream.resume();
  const timer = setInterval(
    () => stream.write(Buffer.alloc(1000 + Math.floor(Math.random() * 200_000))),
    100,
  );
  t.after(() => {
    clearInterval(timer);
    stream.destroy();
  });
}

describe(
  'the dashboard',
  { skip: executablePath === undefined ? 'chromium is not installed' : false },
  () => {
    test('shows what moves, connects again, and has nothing to complain of', async (t) => {
      const { port } = await closedPort();
      const torrc = `ControlPort ${port}\nNickname gate\nMapAddress www.example.com 192.0.2.80\n`;
      const bridge = await startBridge(t);
      const clientOf = () => startClient(t, [bridge], torrc);
      const client = await clientOf();
      await traffic(t, client);
      const command = startCommand(['dashboard', '--control', `127.0.0.1:${port}`]);
      t.after(async () => {
        command.stop();
        await command.exitCode;
      });
      const [url] = await command.stdout.match(/http:\S+/);
      const browser = await launch(t);
      const { page, complaints } = await open(browser, url, 1280, 900, 'light');

      await textIs(page, '#status', /^Connected/);
      await textIs(page, '#what', /^0\.2\.0, engine embedded/);
      await textIs(page, '#stream-count', /^1$/);
      await traffic(t, client);
      await textIs(page, '#stream-count', /^2$/);
      const readings = new Set<string>();
      while (readings.size < 3) readings.add((await page.textContent('#read'))!);
      await textIs(page, '#circuit-list', /built you → /);
      await textIs(page, '#option-rows', /Nicknamegate/);
      // By keyboard: the first stop leads past the head, and every control is reached.
      await page.keyboard.press('Tab');
      assert.equal(
        await page.evaluate('document.activeElement?.textContent'),
        'Skip to the content',
      );
      const reached = new Set<string>();
      for (let count = 0; count < 30; count += 1) {
        await page.keyboard.press('Tab');
        reached.add(await page.evaluate<string>("document.activeElement?.id ?? ''"));
      }
      for (const id of [
        'theme',
        'stream-filter',
        'log-filter',
        'follow',
        'option-filter',
        'reload',
      ]) {
        assert.ok(reached.has(id), id);
      }
      await page.fill('#option-filter', 'nick');
      assert.equal(await page.locator('#option-rows tr').count(), 1);
      await page.fill('#option-filter', '');
      await textIs(page, '#mapping-list', /www\.example\.com → 192\.0\.2\.80/);
      await page.locator('#log-lines li').nth(3).waitFor();
      await page.locator('#graph canvas').waitFor();

      // For a screen reader: everything that takes input has a name, and there is a heading for each part.
      const tree = await page.locator('body').ariaSnapshot();
      for (const part of [
        'heading "Bandwidth"',
        'heading "Streams"',
        'searchbox "Search"',
        'status',
        'main',
      ]) {
        assert.ok(tree.includes(part), `${part} in ${tree}`);
      }

      // Time for a graph that is worth a picture.
      if (folder !== undefined) await page.waitForTimeout(20_000);
      await page.evaluate('scrollTo(0, 0)');
      await shoot(page, 'dashboard', false);
      for (const [name, width, height, scheme] of [
        ['dashboard-dark', 1280, 900, 'dark'],
        ['dashboard-phone', 390, 844, 'light'],
      ] as const) {
        const other = await open(browser, url, width, height, scheme);
        await textIs(other.page, '#stream-count', /^2$/);
        await textIs(other.page, '#option-rows', /Nickname/);
        // Nothing is wider than the screen.
        const overflow = await other.page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        assert.equal(overflow, 0, name);
        await shoot(other.page, name, false);
        assert.deepEqual(other.complaints, []);
        await other.page.close();
      }

      await client.engine.close();
      await textIs(page, '#status', /^No connection/);
      await shoot(page, 'dashboard-lost', false);
      const again = await clientOf();
      await textIs(page, '#status', /^Connected/);
      await textIs(page, '#stream-count', /^0$/);
      await traffic(t, again);
      await textIs(page, '#stream-count', /^1$/);
      assert.deepEqual(complaints, []);
    });

    test('is for whoever has its address, and for nobody else', async (t) => {
      const client = await startEngine(
        t,
        'ControlPort auto\nSocks5Proxy 192.0.2.1:1\nSocks5ProxyUsername me\nSocks5ProxyPassword hidden-word\n',
      );
      const place = formatEndpoint(client.engine.endpoints.control[0]!);
      const command = startCommand(['dashboard', '--control', place]);
      t.after(() => command.stop());
      const [url] = await command.stdout.match(/http:\S+/);
      const { origin, port } = new URL(url);
      const status = async (
        address: string,
        headers: Record<string, string> = {},
        method = 'GET',
      ) => (await fetch(address, { headers, method })).status;
      assert.equal(await status(url), 200);
      assert.equal(await status(`${origin}/`), 403);
      assert.equal(await status(`${origin}/${'0'.repeat(32)}/`), 403);
      assert.equal(await status(url, { origin: 'http://evil.example' }), 403);
      assert.equal(await status(url, {}, 'POST'), 405);
      assert.equal(await status(`${url}../../package.json`), 403);
      assert.equal(await status(`${url}nothing`), 404);
      const configuration = await (await fetch(`${url}configuration`)).text();
      assert.match(configuration, /"Socks5ProxyPassword","value":"\(secret\)"/);
      assert.ok(!configuration.includes('hidden-word'));
      const policy = (await fetch(url)).headers.get('content-security-policy')!;
      assert.match(policy, /default-src 'none'; script-src 'self'/);
      // A name that was made to point here.
      const rebound = await import('node:http').then(
        ({ get }) =>
          new Promise<number>((resolve) => {
            get(url, { headers: { host: `evil.example:${port}` } }, (response) =>
              resolve(response.statusCode!),
            );
          }),
      );
      assert.equal(rebound, 403);
      command.stop();
      assert.equal(await command.exitCode, 0);
      await assert.rejects(fetch(url));
    });
  },
);
