// asyncapi.mjs FILE: says `valid`, or all that AsyncAPI's own parser finds wrong with a description.

import { readFileSync } from 'node:fs'
import { Parser } from '@asyncapi/parser'

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], 'utf8'))
for (const { message, path } of diagnostics) console.log(`${path.join('.')}: ${message}`)
console.log(document && diagnostics.length === 0 ? 'valid' : 'invalid')
