/** What `npm start`, `npm test` and `npm run dev` have in common: from a fresh clone to a built checkout, doing only what is not done. */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from './build.mjs'
import { placeFirmware } from './firmware.mjs'
import { nodeProblem } from './node-version.mjs'
import { installPackages, nodeBinary } from './packages.mjs'

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..')

/** @returns {Promise<{ node: string, env: NodeJS.ProcessEnv }>} Node 24 and the environment in which it is found first */
export async function setUp({ built }) {
  const problem = nodeProblem(process.versions.node)
  if (problem) throw new Error(problem)
  await installPackages(root)
  await placeFirmware(root)
  if (built) await build(root)
  const node = nodeBinary(root)
  const folders = [path.dirname(node), path.join(root, 'node_modules/.bin')]
  // As in bin/coppice: memory of machines that are off goes back to the system.
  const memory = { MALLOC_MMAP_THRESHOLD_: process.env.MALLOC_MMAP_THRESHOLD_ ?? '1048576' }
  return { node, env: { ...process.env, ...memory, PATH: [...folders, process.env.PATH ?? ''].join(path.delimiter) } }
}

/** Runs a driver; a failure is one sentence on stderr and exit code 1. */
export function drive(main) {
  main().then(
    (code) => {
      process.exitCode = code
    },
    (error) => {
      process.stderr.write(`coppice: ${error instanceof Error ? error.message : String(error)}\n`)
      process.exitCode = 1
    },
  )
}
