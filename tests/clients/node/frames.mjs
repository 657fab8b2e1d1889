// node frames.mjs FILE: reads the data of an event from each line of FILE, as Grafana's own code does, and prints what
// it made of each frame; then what Grafana Live makes of the frames of one topic, one after the other.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

// The package's modules for `import` name others without their extension, which Node does not take.
const { StreamingDataFrame, dataFrameFromJSON, getFieldDisplayName } = createRequire(import.meta.url)('@grafana/data')

// JSON has no NaN, no infinity and no undefined.
const text = (value) => (typeof value === 'number' ? String(value) : (value ?? null))

const live = new StreamingDataFrame({ maxLength: 100, maxDelta: Infinity, action: 'append' })
for (const line of readFileSync(process.argv[2], 'utf8').trim().split('\n')) {
  const event = JSON.parse(line)
  for (const json of event.frames ?? [event]) {
    const frame = dataFrameFromJSON(structuredClone(json))
    const fields = frame.fields.map(({ name, type, labels, values, ...field }) => ({
      name, type, labels, values: values.map(text), display: getFieldDisplayName({ name, type, labels, ...field }, frame),
    }))
    console.log(JSON.stringify({ length: frame.length, meta: frame.meta, fields }))
    live.push(json)
  }
}
const fields = live.fields.map(({ name, labels, values }) => ({ name, labels, values: values.map(text) }))
console.log(JSON.stringify({ live: fields }))
