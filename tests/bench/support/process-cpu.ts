/** What a process has used of a processor, as Linux counts it. */
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/** USER_HZ of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** The process that really works, under launchers that may stand in between. */
export async function innermost(pid: number): Promise<number> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).trim().split(' ').filter(Boolean)
  return children.length === 1 ? innermost(Number(children[0])) : pid
}

/** Percent of one core that the process, with all its threads, uses during the next `ms`. */
export async function cpuShare(pid: number, ms: number): Promise<number> {
  const before = await ticks(pid)
  const from = performance.now()
  await sleep(ms)
  return (((await ticks(pid)) - before) / TICKS_PER_SECOND / ((performance.now() - from) / 1000)) * 100
}

/** proc(5), /proc/PID/stat: utime and stime. */
async function ticks(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}
