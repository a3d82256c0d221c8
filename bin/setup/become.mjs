/** The last step of a driver: hand over to the program that it was all for. */
import { spawn } from 'node:child_process'
import { root } from './index.mjs'

/** How often to look whether npm is still there. ms */
const PARENT_CHECK_MS = 2000

/** Runs in our place: same terminal, signals passed on, its exit code is ours. */
export function become(program, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: root, env, stdio: 'inherit' })
    // Ctrl-C reaches the child by itself, through the terminal; it decides when both end.
    process.on('SIGINT', () => {})
    for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
    // A signal to npm ends npm and its shell, and never comes here; that our parent has changed is the only sign of it. Without npm we may well be
    // meant to outlive whoever started us.
    const parent = process.ppid
    const check = process.env.npm_lifecycle_event
      ? setInterval(() => {
          if (process.ppid !== parent) child.kill('SIGTERM')
        }, PARENT_CHECK_MS)
      : undefined
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      clearInterval(check)
      resolve(signal ? 1 : (code ?? 1))
    })
  })
}
