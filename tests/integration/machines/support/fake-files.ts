/** Files that pass for what they are by their first bytes. */
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A bzImage by its magic (Linux boot protocol, offset 0x202), with nothing in it. */
export function fakeKernel(): Uint8Array {
  const bytes = new Uint8Array(4096)
  bytes.set(new TextEncoder().encode('HdrS'), 0x202)
  return bytes
}

/** An ISO 9660 image by its primary volume descriptor, of so many 2048-byte sectors. */
export function fakeIso(sectors: number): Uint8Array {
  const bytes = new Uint8Array(sectors * 2048)
  const at = 16 * 2048
  bytes[at] = 1
  bytes.set(new TextEncoder().encode('CD001'), at + 1)
  const view = new DataView(bytes.buffer)
  view.setUint32(at + 80, sectors, true)
  view.setUint16(at + 128, 2048, true)
  return bytes
}

export async function put(path: string, content: Uint8Array | string): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
  return path
}
