/** A router that is drawn while a machine runs, with this computer's kernel as the machine. */
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { canInNamespace, inNewNamespace } from '../../support/network-namespace.ts'
import { without } from '../../support/programs.ts'

const PROGRAM = fileURLToPath(new URL('../support/router-peer.program.ts', import.meta.url))

// Where no namespace or no TAP device may be made (a container without the right), this cannot be tried.
test.skipIf(!canInNamespace('ip tuntap add dev tap0 mode tap') || without('ping'))(
  'the kernel reaches a network as soon as there is a router to it, and no more when there is none',
  { timeout: 120_000 },
  async () => {
    const nobody = [false, false, false, false]
    expect(await inNewNamespace(PROGRAM)).toEqual({
      before: [nobody, 'none'],
      drawn: 'pref low',
      gone: [nobody, 'none'],
    })
  },
)
