/** Debian's installer for 32-bit PCs on the embedded engine, which takes minutes to its first question. */
import { test } from 'vitest'
import { guestFiles } from '../support/appliance.ts'
import { HostMachine, wholeHost } from '../support/host-machine.ts'
import { INSTALLER_CMDLINE, installerFiles } from '../support/installer.ts'
import { ScreenReader } from '../support/screen-text.ts'

test('its first question, on the serial port and on the screen', async ({ skip }) => {
  const got = await installerFiles('i386')
  if ('missing' in got) return skip(got.missing)
  const machine = await HostMachine.start(
    await wholeHost(),
    // With less it first says on its main console alone that it has little memory.
    { name: 'installer', source: { kind: 'kernel', ...got.paths, cmdline: INSTALLER_CMDLINE }, engine: 'embedded', memoryMiB: 512 },
    await ScreenReader.open((await guestFiles()).firmware.vgaBios),
    { patienceMs: 600_000 },
  )
  await machine.printed(/Select a language/)
  await machine.shows(/Select a language/)
})
