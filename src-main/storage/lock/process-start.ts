/** Which run of a process id is meant: ids are used again, the time of a start is not. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * A text that is the same as long as the process lives and differs for a later process of the same id; null where there is no such process, and
 * 'unknown' where the system does not say (then it counts as alive).
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
          'unknown'
        )
      }
      default:
        return (
          (await run('ps', ['-o', 'lstart=', '-p', String(pid)], { env: { ...process.env, LC_ALL: 'C', TZ: 'UTC' } })).stdout.trim() ||
          'unknown'
        )
    }
  } catch {
    return isAlive(pid) ? 'unknown' : null
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
async function linuxStart(pid: number): Promise<string> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8')
  // The command (field 2) may contain spaces and brackets: count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return `${boot.trim()}:${fields[19]}`
}
