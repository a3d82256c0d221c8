/** A picture of a machine's screen as a file. */
import { concatBytes } from '../../src-shared/base/bytes.ts'
import { MiB } from '../../src-shared/base/units.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import type { Host } from '../client/host.ts'

/** Bytes; a screen of 8192 by 8192 pixels without any compression. */
const MAX_BYTES = 256 * MiB

/** What is on the machine's screen now, as a PNG file. @throws AppError from the host */
export async function takeScreenshot(host: Host, id: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  return readPicture(await host.machines.screenshot({ id }, signal ? { signal } : {}), signal)
}

/** All bytes of a picture that the host sends. @throws AppError from the host */
export async function readPicture(
  { opening, stream }: { opening: { bytes: number }; stream: ByteStream },
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    if (opening.bytes > MAX_BYTES) throw new AppError('corrupt', 'The picture of the machine’s screen is too large to be shown.')
    const parts: Uint8Array[] = []
    for (let bytes = await stream.read(); bytes && !signal?.aborted; bytes = await stream.read()) parts.push(bytes)
    return concatBytes(parts)
  } finally {
    stream.close()
  }
}

/** Hands the picture to the browser's downloads. @returns the file's name @throws AppError from the host */
export async function saveScreenshot(host: Host, machine: { id: string; name: string }): Promise<string> {
  const url = pngUrl(await takeScreenshot(host, machine.id))
  const link = document.createElement('a')
  link.href = url
  link.download = screenshotName(machine.name, new Date())
  link.click()
  // The download has begun when the click returns; its bytes are read soon after.
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
  return link.download
}

/** A file name on every system: what none of them allows becomes "-". */
export function screenshotName(name: string, at: Date): string {
  const two = (figure: number): string => String(figure).padStart(2, '0')
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`
  const time = `${two(at.getHours())}.${two(at.getMinutes())}.${two(at.getSeconds())}`
  // eslint-disable-next-line no-control-regex -- control characters are not allowed in names on Windows
  return `${name.replace(/[\u0000-\u001f<>:"/\\|?*]/g, '-').slice(0, 100)} ${date} ${time}.png`
}

/** The caller revokes it. */
export function pngUrl(png: Uint8Array<ArrayBuffer>): string {
  return URL.createObjectURL(new Blob([png], { type: 'image/png' }))
}
