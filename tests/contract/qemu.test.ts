import { engineContract } from './engine-contract.ts'
import { engineThreadOf } from '../support/engine-thread.ts'
import { QEMU_PROGRAM, QEMU_VERSION } from '../support/qemu-program.ts'

const name = QEMU_PROGRAM ? 'qemu' : 'qemu (skipped: this computer has no qemu-system-x86_64)'

engineContract(
  name,
  {
    takesBlocks: false,
    startThread: () => engineThreadOf('qemu'),
    spec: (bios) => ({
      engine: 'qemu',
      firmware: null,
      qemu: {
        binary: QEMU_PROGRAM!,
        version: QEMU_VERSION,
        accelerator: 'tcg',
        machineType: 'pc',
        maxCpus: 1,
        sandbox: process.platform === 'linux',
        devices: 'modern',
        display: 'vga',
        firmware: { kind: 'bios', code: bios },
        tpm: null,
      },
    }),
  },
  !QEMU_PROGRAM,
)
