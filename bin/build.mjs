#!/usr/bin/env node
/** `npm run build`: set-up and an up-to-date out/, for what needs both: packaging, benchmarks, tests of the built product. */
import { drive, setUp } from './setup/index.mjs'

drive(async () => {
  await setUp({ built: true })
  return 0
})
