/** Programs in a network namespace of their own, so that they may make devices and nothing of this computer's is touched. Linux only. */
import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'

/** Its own devices are seen in its own /sys alone. */
const inNamespace = (command: string): string[] => [
  ...['--map-root-user', '--net', '--mount', 'sh', '-c'],
  `mount -t sysfs none /sys && ${command}`,
]

/** Whether a namespace can be had, and in it what `command` makes; a container may not have the right. */
export function canInNamespace(command: string): boolean {
  try {
    execFileSync('unshare', inNamespace(command), { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Runs a program of ours there. @returns what it prints, as JSON */
export async function inNewNamespace(program: string, ...args: string[]): Promise<unknown> {
  const words = [process.execPath, program, ...args].map((word) => `"${word}"`).join(' ')
  const { stdout } = await promisify(execFile)('unshare', inNamespace(`exec ${words}`))
  return JSON.parse(stdout)
}
