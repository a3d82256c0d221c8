/** The agent of Coppice Linux on the embedded engine: what the host asks of a guest. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { exec } from './support/exec.ts'
import { Guest } from './support/guest.ts'

let files: GuestFiles
let folder: string
const guests: Guest[] = []
const keep = (guest: Guest): Guest => {
  guests.push(guest)
  return guest
}

beforeAll(async () => {
  files = await guestFiles()
})
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coppice-guest-'))
})
afterEach(async () => {
  for (const guest of guests.splice(0)) await guest.close()
  await rm(folder, { recursive: true, force: true })
})

/** Booted, and its agent has answered. */
async function withAgent(options: Parameters<typeof Guest.boot>[1] = {}): Promise<Guest> {
  const guest = keep(await Guest.boot(files, options))
  await guest.event((event) => event.kind === 'agent' && event.present)
  return guest
}

describe('the agent of Coppice Linux', () => {
  test('runs commands: exit codes, quoting, binary input and output, both outputs apart', async () => {
    const guest = await withAgent()
    expect(await exec(guest, ['/bin/true'])).toMatchObject({ exitCode: 0, out: '', err: '' })
    expect(await exec(guest, ['false'])).toMatchObject({ exitCode: 1 })
    expect(await exec(guest, ['no-such-program'])).toMatchObject({ exitCode: 127, err: 'no-such-program: not found\n' })
    const odd = ['a b', `it's`, '"quoted" \\ $HOME `id`', 'line\nbreak\t\u0001', 'ünï → 𝄞', '']
    expect(await exec(guest, ['printf', '%s|', ...odd])).toMatchObject({ exitCode: 0, out: odd.map((one) => `${one}|`).join('') })
    expect(await exec(guest, ['sh', '-c', 'echo "$NAME"; echo wrong >&2; exit 7'], { env: ['NAME=x  y'] })).toMatchObject({
      exitCode: 7,
      out: 'x  y\n',
      err: 'wrong\n',
    })
    const bytes = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 7 + (at >> 8)) & 255)
    const copied = await exec(guest, ['cat'], { input: bytes })
    expect(copied.exitCode).toBe(0)
    expect(Buffer.from(copied.outBytes).equals(Buffer.from(bytes)), 'as it went in').toBe(true)
  })
})
