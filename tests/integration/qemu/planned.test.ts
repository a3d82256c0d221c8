/** From what is found on this computer to a QEMU that runs: search, plan and arguments together. What is not installed is skipped with its reason. */
import { mkdir, mkdtemp, copyFile, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { planMachine } from '../../../src-main/host/planner/plan-machine.ts'
import { readComputer } from '../../../src-main/host/planner/read-computer.ts'
import { findQemu } from '../../../src-main/engines/qemu/find/find-qemu.ts'
import { startTpm } from '../../../src-main/engines/qemu/supervise/tpm.ts'
import type { QemuFacts } from '../../../src-shared/model/engine-facts.ts'
import { parseMachineConfig } from '../../../src-shared/model/machine.ts'
import { withQemu, type Monitor } from '../../support/with-qemu.ts'

/** ms for a firmware to say something, in software and on a busy computer. */
const FIRMWARE_LIMIT = 120_000

let qemu: QemuFacts
let folder: string
beforeAll(async () => {
  const cacheFolder = await mkdtemp(join(tmpdir(), 'coppice-find-'))
  qemu = await findQemu({ resources: cacheFolder, cacheFolder, refresh: false })
  await rm(cacheFolder, { recursive: true, force: true })
}, 60_000)
beforeEach(async () => {
  // Short, for the sockets.
  folder = await mkdtemp(join(tmpdir(), 'q-'))
  await mkdir(join(folder, 'logs'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function start(change: object, look: (monitor: Monitor) => Promise<void>): Promise<string | null> {
  const config = parseMachineConfig({
    ...{ schema: 1, id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11', created: '2026-11-21T00:00:00Z', name: 'planned', engine: 'qemu' },
    ...{ arch: 'x86_64', boot: { kind: 'firmware' }, nics: [{ id: 'nic0', mac: '52:54:00:00:00:01' }] },
    ...change,
  })
  const files = new Map()
  const firmware = { bios: '', vgaBios: '' }
  const plan = planMachine(config, {
    ...{ computer: readComputer(), qemu, firmware, files },
    ...{ logFolder: join(folder, 'logs'), firmwareFolder: join(folder, 'firmware') },
  })
  if (!plan.spec) return plan.problems.map(({ message }) => message).join(' ')
  const { firmware: code, tpm } = plan.spec.qemu!
  await mkdir(join(folder, 'firmware'))
  if (code.kind !== 'bios' && code.vars) await copyFile(code.vars.template, code.vars.path)
  const swtpm = tpm && (await startTpm(tpm, { kind: 'unix', path: join(folder, 'tpm') }, folder))
  try {
    await withQemu(plan.spec, folder, look)
  } finally {
    // It ends with QEMU by itself, but only where that came to connect to it.
    await swtpm?.kill()
    swtpm?.dispose()
  }
  return null
}

/** What the firmware printed on its first serial port. */
async function printed(monitor: Monitor, text: RegExp): Promise<void> {
  await monitor.ask('cont')
  const log = (): Promise<string> => readFile(join(folder, 'logs', 'serial0.log'), 'latin1')
  await expect.poll(log, { timeout: FIRMWARE_LIMIT, interval: 200 }).toMatch(text)
}

describe.skipIf(process.platform === 'win32')('what is planned for this computer', () => {
  test.for<[string, object]>([
    ['a PC of today', {}],
    ['an older PC', { arch: 'i386', devices: 'legacy' }],
    ['a PC with many processors', { cpus: 8, memoryMiB: 128 }],
    ['an ARM machine', { arch: 'aarch64', cpus: 2 }],
    ['a RISC-V machine', { arch: 'riscv64' }],
    ['UEFI with Secure Boot and a TPM', { firmware: 'uefi-secure', tpm: true }],
  ])('%s is taken by QEMU', async ([, change], context) => {
    const why = await start(change, async (monitor) => {
      expect(await monitor.ask('query-status')).toMatchObject({ status: 'prelaunch' })
      if ('tpm' in change) expect(await monitor.ask('query-tpm')).toHaveLength(1)
    })
    if (why !== null) context.skip(why)
  })

  test.for<[string, object]>([
    ['UEFI with Secure Boot and a TPM', { firmware: 'uefi-secure', tpm: true }],
    ['UEFI of an ARM machine', { arch: 'aarch64' }],
  ])('%s starts, and says that it found nothing to boot', { timeout: FIRMWARE_LIMIT }, async ([, change], context) => {
    const why = await start(change, (monitor) => printed(monitor, /Shell|BdsDxe|No bootable|PXE/i))
    if (why !== null) context.skip(why)
  })
})
