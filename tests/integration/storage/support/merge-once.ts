/** Merges two layers, to be killed meanwhile. Arguments: the lower and the upper one. */
import { mergeLayers } from '../../../../src-main/storage/jobs/merge-layers.ts'

const [lower, upper] = process.argv.slice(2).map((path) => ({ path, format: 'qcow2' as const }))
process.stdout.write('begins\n')
await mergeLayers({ lower: lower!, upper: upper!, folders: [] }, { signal: new AbortController().signal, onProgress: () => {} })
