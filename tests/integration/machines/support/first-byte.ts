/** A machine's own first disk, from outside of it. Its first byte tells the machine's states apart. */
import { join } from 'node:path'
import { openImage } from '../../../../src-main/storage/open-image.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import type { TestHost } from './test-host.ts'

/** Where it is written now. */
export async function ownDisk(host: TestHost, id: string, readOnly: boolean) {
  const { bundle, config } = await host.machines.get({ id })
  return openImage({ path: join(bundle, config!.drives[0]!.path!), format: 'qcow2', readOnly, folders: [join(bundle, 'disks')] })
}

export async function write(host: TestHost, id: string, value: number): Promise<void> {
  const image = await ownDisk(host, id, false)
  await image.write(0, new Uint8Array(512).fill(value))
  await image.close()
}

export async function onDisk(host: TestHost, id: string): Promise<number> {
  const image = await ownDisk(host, id, true)
  const [value] = await readBytes(image, 0, 1)
  await image.close()
  return value!
}
