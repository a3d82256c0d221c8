/** GRUB's rescue CD running on either engine. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MessagePort } from 'node:worker_threads'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { Counters } from '../../../src-shared/threads/counters.ts'
import { engineThreadOf } from '../../support/engine-thread.ts'
import { QEMU_PROGRAM, QEMU_VERSION } from '../../support/qemu-program.ts'
import type { GuestFiles } from './appliance.ts'
import { linuxSpec } from './guest.ts'
import { MemoryDisk } from './memory-disk.ts'
import type { Viewed } from './view.ts'

export interface Grub extends Viewed {
  /** Switches it off and ends the engine's thread. */
  close(): Promise<void>
}

/** @param iso path of the CD; `engine` qemu only where QEMU_PROGRAM is */
export async function startGrub(engine: 'embedded' | 'qemu', files: GuestFiles, iso: string): Promise<Grub> {
  const thread = engineThreadOf(engine)
  const logFolder = await mkdtemp(join(tmpdir(), 'coppice-guest-'))
  const cd = engine === 'embedded' ? new MemoryDisk(new Uint8Array(await readFile(iso)), true) : null
  const embedded = linuxSpec(files, logFolder, {
    boot: { kind: 'firmware', order: ['cdrom'] },
    drives: [{ id: 'cd', kind: 'cdrom', readOnly: true, inserted: true, path: iso, format: 'raw', limits: null }],
  })
  const spec = engine === 'embedded' ? embedded : onQemu(embedded)
  const machine = spec.id
  const close = async (): Promise<void> => {
    // QEMU does not end with its thread.
    await thread.engine.powerOff({ machine }).catch(() => {})
    await thread.close()
    cd?.dispose()
    await rm(logFolder, { recursive: true, force: true })
  }
  try {
    const blocks: Record<string, MessagePort> = cd ? { cd: cd.port } : {}
    await thread.engine.create({ spec, blocks, counters: new Counters().buffer, memory: null }, { transfer: Object.values(blocks) })
    await thread.engine.start({ machine })
  } catch (error) {
    await close()
    throw error
  }
  return { engine: thread.engine, machine, close }
}

function onQemu(spec: MachineSpec): MachineSpec {
  return {
    ...spec,
    ...{ engine: 'qemu', arch: 'x86_64', firmware: null },
    qemu: {
      ...{ binary: QEMU_PROGRAM!, version: QEMU_VERSION, accelerator: 'tcg', machineType: 'pc', maxCpus: 1 },
      ...{ sandbox: process.platform === 'linux', devices: 'legacy', display: 'vga', firmware: { kind: 'bios', code: null }, tpm: null },
    },
  }
}
