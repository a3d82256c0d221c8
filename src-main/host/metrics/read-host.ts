import { cpus, freemem, totalmem } from 'node:os'
import type { HostReading } from './rates.ts'

export function readHost(): HostReading {
  let busyMs = 0
  let totalMs = 0
  for (const { times } of cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq
    busyMs += busy
    totalMs += busy + times.idle
  }
  const { user, system } = process.cpuUsage()
  return {
    busyMs,
    totalMs,
    processMs: (user + system) / 1000,
    memoryTotalBytes: totalmem(),
    memoryFreeBytes: freemem(),
    hostMemoryBytes: process.memoryUsage.rss(),
  }
}
