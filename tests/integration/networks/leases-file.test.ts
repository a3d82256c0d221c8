/** Leases on disk: soon after a change, whatever ends the host. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { LeasesFile } from '../../../src-main/host/networks/leases-file.ts'
import type { Lease } from '../../../src-shared/threads/network-thread.ts'
import { memoryLog } from '../../support/memory-log.ts'
import { until } from '../../support/until.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'leases-'))
  path = join(folder, 'network-leases.json')
})
afterEach(async () => {
  vi.useRealTimers()
  await rm(folder, { recursive: true })
})

const lease = (number: number): Lease => ({
  ...{ network: 'lab', address: `10.0.2.${number}`, hostName: null, from: 0, until: Number.MAX_SAFE_INTEGER },
  mac: `52:54:00:00:00:${number.toString(16).padStart(2, '0')}`,
})
const isThere = async (number: number): Promise<boolean> =>
  (await readFile(path, 'utf8').catch(() => '')).includes(`"${lease(number).address}"`)

test('are there within a second of their change, and all that come until then by one writing', async () => {
  const file = await LeasesFile.open(path, memoryLog())
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  for (let number = 2; number < 100; number++) file.put(lease(number))
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(1000)
  vi.useRealTimers()
  await until(() => isThere(99))
  file.remove('lab', lease(2).mac)
  await file.close()
  const later = await LeasesFile.open(path, memoryLog())
  expect(later.all()).toEqual(Array.from({ length: 97 }, (_, at) => lease(at + 3)))
})

test('outlive a host that is killed while it writes them, again and again', { timeout: 60_000 }, async () => {
  for (let round = 1; round <= 5; round++) {
    const host = fork(new URL('./support/leasing-host.program.ts', import.meta.url), [path, String(round)])
    await until(() => isThere(round))
    host.kill('SIGKILL')
    await once(host, 'exit')
    const log = memoryLog()
    const kept = (await LeasesFile.open(path, log)).all().map(({ address }) => address)
    // What was there stays, and what came is whole.
    for (let number = 1; number <= round; number++) expect(kept).toContain(lease(number).address)
    expect(log.lines).toEqual([])
  }
})

test('of before that cannot be read mean new addresses, and a word in the log', async () => {
  await writeFile(path, '{"schema":1,"leases":[{"network"')
  const log = memoryLog()
  expect((await LeasesFile.open(path, log)).all()).toEqual([])
  expect(log.lines).toEqual([expect.stringMatching(/^warn networks: Leases of before are lost/)])
})
