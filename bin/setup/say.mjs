/** What set-up tells the person at the terminal, and how it runs other programs. Plain JavaScript without packages: it runs before `npm ci`. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import path from 'node:path'

export function say(sentence) {
  process.stderr.write(`coppice: ${sentence}\n`)
}

/**
 * Runs a program to its end. Its output is shown (`show`) or kept and given back; a kept output is what a failure's sentence quotes.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean, limitMs?: number }} [options]
 * @returns {Promise<{ ok: boolean, code: number | null, output: string, timedOut: boolean }>} never rejects
 */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? process.env,
      stdio: options.show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let timedOut = false
    const keep = (chunk) => {
      output = (output + chunk).slice(-64 * 1024)
    }
    child.stdout?.on('data', keep)
    child.stderr?.on('data', keep)
    const timer =
      options.limitMs === undefined
        ? null
        : setTimeout(() => {
            timedOut = true
            child.kill('SIGKILL')
          }, options.limitMs)
    const end = (code) => {
      if (timer) clearTimeout(timer)
      resolve({ ok: code === 0, code, output, timedOut })
    }
    child.on('error', (error) => {
      output += error.message
      end(null)
    })
    child.on('close', end)
  })
}

/** The path of a program in PATH, or null. */
export function findProgram(name, env = process.env) {
  const endings = process.platform === 'win32' ? ['.exe', '.cmd'] : ['']
  for (const folder of (env.PATH ?? env.Path ?? '').split(path.delimiter)) {
    if (folder === '') continue
    for (const ending of endings) {
      const candidate = path.join(folder, name + ending)
      try {
        accessSync(candidate, constants.X_OK)
        return candidate
      } catch {
        // not here
      }
    }
  }
  return null
}

/** The last lines of a program's output that say anything, for a sentence. */
export function tail(output, lines = 4) {
  return output.trimEnd().split('\n').slice(-lines).join('\n')
}
