import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { engineContract } from './engine-contract.ts'
import { engineThreadOf } from '../support/engine-thread.ts'

engineContract('embedded', {
  takesBlocks: true,
  startThread: () => engineThreadOf('embedded'),
  spec: (bios, folder) => {
    const vgaBios = join(folder, 'vgabios.bin')
    writeFileSync(vgaBios, new Uint8Array(512))
    return { engine: 'embedded', firmware: { bios, vgaBios }, qemu: null }
  },
})
