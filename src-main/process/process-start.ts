/** Which run of a process id is meant, for locks that outlive their owners: ids are used again, the time of a start is not. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Where the system does not say when a process started. */
export const UNKNOWN = 'unknown'

/**
 * A text that is the same as long as the process lives and differs for a later process of the same id; null where there is no such process, and
 * UNKNOWN where the system does not say (then it counts as alive).
 */
export async function processStart(pid: number): Promise<string | null> {
  if (!isAlive(pid)) return null
  try {
    switch (process.platform) {
      case 'linux':
        return await linuxStart(pid)
      case 'win32': {
        const script = `(Get-Process -Id ${pid}).StartTime.ToFileTimeUtc()`
        return (
          (await run('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', script], { windowsHide: true })).stdout.trim() ||
          UNKNOWN
        )
      }
      default:
        return psStart(
          (await run('ps', ['-o', 'stat=', '-o', 'lstart=', '-p', String(pid)], { env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } }))
            .stdout,
        )
    }
  } catch {
    return isAlive(pid) ? UNKNOWN : null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Field 22 of /proc/PID/stat, clock ticks since boot (proc_pid_stat(5)), with the boot's id: both survive clock changes. */
async function linuxStart(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
  // The command (field 2) may contain spaces and brackets: count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // A zombie has ended: only its parent has not asked yet.
  if (fields[0] === 'Z' || fields[0] === 'X') return null
  return `${boot.trim()}:${fields[19]}`
}

/** From `ps -o stat= -o lstart=` (POSIX): "Ss   Sat Nov 21 07:00:00 2026". */
function psStart(line: string): string | null {
  const [, state = '', start = ''] = /^\s*(\S+)\s+(.*?)\s*$/.exec(line) ?? []
  return state.startsWith('Z') ? null : start || UNKNOWN
}

let ofThisProcess: Promise<string> | null = null

/** As processStart, of the process that asks; looked up once. */
export function ownStart(): Promise<string> {
  return (ofThisProcess ??= processStart(process.pid).then((start) => start ?? UNKNOWN))
}

/** Whether a process that noted `start` for itself lives still. What the system cannot say counts as alive. */
export async function isSameProcess(pid: number, start: string): Promise<boolean> {
  const now = await processStart(pid)
  return now !== null && (now === start || now === UNKNOWN || start === UNKNOWN)
}
