// node eventsource.mjs URL UPDATES: prints each event as a line of JSON until so many updates were seen.
// The EventSource of the package `eventsource`: the browser's interface, in Node.
import { EventSource } from 'eventsource'

const [url, updates] = process.argv.slice(2)
const source = new EventSource(url)
let left = Number(updates)

for (const name of ['connected', 'metric-update', 'error', 'gap', 'shutdown']) {
  source.addEventListener(name, (event) => {
    // A failed connection is an event called `error` too, one without data.
    if (event.data === undefined || left === 0) return
    console.log(JSON.stringify({ event: name, id: event.lastEventId, data: event.data }))
    if (name === 'metric-update' && --left === 0) source.close()
  })
}
