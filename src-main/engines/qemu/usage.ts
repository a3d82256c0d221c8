/** What a process costs this computer. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Usage {
  /** Processor time since its start, microseconds. */
  cpuMicros: number
  /** Memory of this computer that it holds now, bytes. */
  memoryBytes: number
}

/** Clock ticks a second in /proc (proc_pid_stat(5)): 100 on every Linux that user programs see. */
const TICKS = 100

/** Null where the process is gone, and on Windows, where asking would cost more than the machine. */
export async function processUsage(pid: number): Promise<Usage | null> {
  try {
    if (process.platform === 'linux')
      return linuxUsage(await readFile(`/proc/${pid}/stat`, 'utf8'), await readFile(`/proc/${pid}/status`, 'utf8'))
    if (process.platform === 'darwin') return psUsage((await run('ps', ['-o', 'rss=,time=', '-p', String(pid)])).stdout)
    return null
  } catch {
    return null
  }
}

/** From /proc/PID/stat (fields 14 and 15, utime and stime) and /proc/PID/status (VmRSS). Pure. */
export function linuxUsage(stat: string, status: string): Usage {
  // The command (field 2) may contain spaces and brackets: count from the last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[11]) + Number(fields[12])
  const resident = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  return { cpuMicros: (ticks * 1_000_000) / TICKS, memoryBytes: Number(resident ?? 0) * 1024 }
}

/** From `ps -o rss=,time=` on macOS: "  51200   1:02:03.45". Pure. */
export function psUsage(line: string): Usage | null {
  const match = /^\s*(\d+)\s+(?:(\d+)-)?((?:\d+:)*\d+(?:\.\d+)?)\s*$/.exec(line)
  if (!match) return null
  const seconds = match[3]!.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) + Number(match[2] ?? 0) * 86_400
  return { cpuMicros: Math.round(seconds * 1_000_000), memoryBytes: Number(match[1]) * 1024 }
}
