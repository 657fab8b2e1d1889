// node browser.mjs BROWSER ORIGIN PATH UPDATES: opens the gateway's page in a real browser, streams PATH with the
// browser's own EventSource, and prints each event as a line of JSON until so many updates were seen.
import { chromium } from 'playwright-core'

const [executablePath, origin, path, updates] = process.argv.slice(2)
const browser = await chromium.launch({
  executablePath,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
})
try {
  const page = await browser.newPage()
  page.on('pageerror', (error) => console.error(String(error)))
  await page.exposeFunction('print', (line) => console.log(line))
  await page.goto(origin)
  await page.evaluate(([path, updates]) => new Promise((done) => {
    const source = new EventSource(path)
    let left = updates
    for (const name of ['connected', 'metric-update', 'error', 'gap', 'shutdown']) {
      source.addEventListener(name, (event) => {
        // A failed connection is an event called `error` too, one without data.
        if (event.data === undefined || left === 0) return
        window.print(JSON.stringify({ event: name, id: event.lastEventId, data: event.data }))
        if (name === 'metric-update' && --left === 0) { source.close(); done() }
      })
    }
  }), [path, Number(updates)])
} finally {
  await browser.close()
}
