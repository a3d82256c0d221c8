import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import HardwareTab from '../../src-renderer/pages/machine/hardware/HardwareTab.svelte'
import type { WindowState } from '../../src-renderer/state/window-state.svelte.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../src-shared/model/machine.ts'
import { FakeHost } from './support/fake-host.ts'
import { fakeLive, fakeMachine, fakeVerdict } from './support/fake-objects.ts'
import { connected, show as showPart } from './support/show.ts'

let host: FakeHost
let state: WindowState
let machine: MachineView

const show = (): ReturnType<typeof showPart<{ machine: MachineView }>> => showPart(state, HardwareTab, { machine })
const device = (name: string | RegExp) => page.getByRole('group', { name: 'Devices' }).getByRole('button', { name })
const save = () => page.getByRole('button', { name: 'Save' })

async function begin(config: Partial<MachineConfig> = {}, view: Partial<MachineView> = {}): Promise<void> {
  machine = host.put(fakeMachine('web-1', view, config))
  state = await connected(host)
}

beforeEach(async () => {
  await page.viewport(1280, 800)
  localStorage.clear()
  host = new FakeHost()
})
afterEach(() => state.dispose())

describe('the hardware tab', () => {
  test('lists the devices and what they are set to', async () => {
    await begin({ drives: [{ id: 'cd0', kind: 'cdrom', path: '/isos/debian.iso', format: 'raw', readOnly: true, limits: null }] })
    await show()
    await expect.element(device('Memory 256 MiB')).toBeVisible()
    await expect.element(device('Start-up Kernel vmlinuz')).toBeVisible()
    await expect.element(device('CD drive debian.iso')).toBeVisible()
    await expect.element(device('Network card Plugged in nowhere')).toBeVisible()
    await expect.element(save()).toHaveAttribute('aria-disabled', 'true')
  })

  test('a change is saved with only what changed', async () => {
    await begin()
    await show()
    await page.getByRole('textbox', { name: 'Memory' }).fill('512')
    await expect.element(page.getByText('Unsaved changes')).toBeVisible()
    await save().click()
    await expect.poll(() => host.updates).toEqual([{ id: machine.id, patch: { memoryMiB: 512 } }])
    await expect.element(page.getByText('Unsaved changes')).not.toBeInTheDocument()
  })

  test('a wrong value is said at its field while it is typed, and nothing is sent', async () => {
    await begin()
    await show()
    await page.getByRole('textbox', { name: 'Memory' }).fill('7')
    await expect.element(page.getByText('7 MiB is too little memory. Give the machine at least 16 MiB.')).toBeVisible()
    await device(/Network card/).click()
    await page.getByRole('textbox', { name: 'MAC address' }).fill('01:00:5e:00:00:01')
    await expect.element(page.getByText('its first pair must be even', { exact: false })).toBeVisible()
    await expect.element(device(/Memory.*has an error/)).toBeVisible()
    await save().click()
    // The first wrong device is shown, with what was typed.
    await expect.element(page.getByRole('textbox', { name: 'Memory' })).toHaveValue('7')
    expect(host.updates).toEqual([])
    await page.getByRole('textbox', { name: 'Memory' }).fill('99999999')
    await expect.element(page.getByText('The most is 16777216 MiB', { exact: false })).toBeVisible()
  })

  test('what the host refuses is said at its field, and what was typed stays', async () => {
    await begin()
    await show()
    await device(/Start-up/).click()
    await page.getByRole('textbox', { name: 'Kernel', exact: true }).fill('/gone/vmlinuz')
    host.failures.set('machines.update', AppError.invalid([{ path: 'boot.kernel', message: 'There is no file /gone/vmlinuz.' }]).toWire())
    await device(/Memory/).click()
    await save().click()
    await expect.element(page.getByText('There is no file /gone/vmlinuz.')).toBeVisible()
    await expect.element(page.getByRole('textbox', { name: 'Kernel', exact: true })).toHaveValue('/gone/vmlinuz')
    host.failures.clear()
    await save().click()
    await expect.poll(() => host.updates.length).toBe(1)
  })

  test('an error of no field is said above', async () => {
    await begin()
    await show()
    await page.getByRole('textbox', { name: 'Memory' }).fill('512')
    host.failures.set('machines.update', new AppError('no-space', 'Writing machine.json failed: the disk is full.').toWire())
    await save().click()
    await expect.element(page.getByText('Writing machine.json failed: the disk is full.')).toBeVisible()
    await expect.element(page.getByText('Unsaved changes')).toBeVisible()
  })

  test('devices are added, and a new one waits for what it needs without complaint until it is saved', async () => {
    await begin()
    await show()
    await page.getByRole('button', { name: 'Add device' }).click()
    await page.getByRole('menuitem', { name: 'Disk', exact: true }).click()
    await page.getByRole('combobox', { name: 'What it is' }).click()
    await page.getByRole('option', { name: /An image that is there/ }).click()
    await page.getByRole('textbox', { name: 'Image' }).fill('/images/data.img')
    await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('textbox', { name: 'Disk image' }).fill('')
    await page.getByRole('checkbox', { name: 'Read-only' }).click()
    await save().click()
    await expect.element(page.getByText('A disk needs an image file.')).toBeVisible()
    await page.getByRole('textbox', { name: 'Disk image' }).fill('/images/data.img')
    await save().click()
    await expect
      .poll(() => host.updates.at(-1)?.patch)
      .toEqual({ drives: [{ id: 'disk0', kind: 'disk', path: '/images/data.img', format: 'raw', readOnly: true, limits: null }] })
  })

  test('a CD is ejected, a card gets another address, a drive is removed', async () => {
    await begin({
      drives: [
        { id: 'cd0', kind: 'cdrom', path: '/isos/debian.iso', format: 'raw', readOnly: true, limits: null },
        { id: 'floppy0', kind: 'floppy', path: null, format: 'raw', readOnly: false, limits: null },
      ],
    })
    await show()
    await device(/CD drive/).click()
    await page.getByRole('button', { name: 'Eject' }).click()
    await expect.element(device('CD drive Empty')).toBeVisible()
    await device(/Floppy/).click()
    await page.getByRole('button', { name: 'Remove the floppy drive' }).click()
    await device(/Network card/).click()
    await expect.element(page.getByRole('checkbox', { name: 'Cable plugged in' })).toBeDisabled()
    await page.getByRole('button', { name: 'Regenerate' }).click()
    await save().click()
    await expect.poll(() => host.updates.length).toBe(1)
    const { drives, nics } = host.updates[0]!.patch
    expect(drives).toEqual([{ id: 'cd0', kind: 'cdrom', path: null, format: 'raw', readOnly: true, limits: null }])
    expect(nics![0]!.mac).toMatch(/^52:54:00:/)
    expect(nics![0]!.mac).not.toBe('52:54:00:12:34:56')
  })

  test('the firmware’s order is changed', async () => {
    await begin({ boot: { kind: 'firmware', order: ['disk', 'cdrom'] } })
    await show()
    await device(/Start-up/).click()
    await page.getByRole('button', { name: 'CD earlier' }).click()
    await page.getByRole('button', { name: 'Add Floppy' }).click()
    await save().click()
    await expect.poll(() => host.updates.at(-1)?.patch).toEqual({ boot: { kind: 'firmware', order: ['cdrom', 'disk', 'floppy'] } })
  })

  test('another engine says before it is saved every reason why not, in a list and at each field', async () => {
    await begin({ arch: 'x86_64', cpus: 2, engine: 'qemu' }, { engine: 'qemu', accelerator: 'tcg', engineVersion: '7.2.22' })
    const reasons = [
      { path: 'arch', message: 'The embedded engine runs i386 systems, not x86_64 ones.' },
      { path: 'cpus', message: 'The embedded engine has room for 1 processor. Give the machine no more.' },
      { path: 'memoryMiB', message: '256 MiB is more memory than the embedded engine can give.' },
    ]
    host.verdict = (wish) => {
      const base = fakeVerdict(wish)
      const problems = wish.engine === 'embedded' ? reasons : []
      return { ...base, engine: 'qemu', why: 'You chose QEMU.', problems, engines: { ...base.engines, embedded: { reasons, changes: [] } } }
    }
    await show()
    await device(/Engine/).click()
    await expect.element(page.getByText('You chose QEMU.')).toBeVisible()
    await page.getByRole('combobox', { name: 'Engine' }).click()
    await expect.element(page.getByText('Cannot run this machine as it is, for 3 reasons')).toBeVisible()
    await page.getByRole('option', { name: /Embedded/ }).click()
    const list = page.getByRole('alert').filter({ hasText: 'The embedded engine cannot run the machine so:' })
    await expect.element(list).toBeVisible()
    for (const { message } of reasons) await expect.element(list).toHaveTextContent(message)
    await expect.element(page.getByRole('combobox', { name: 'Architecture' })).toHaveAccessibleDescription(reasons[0]!.message)
    await expect.element(page.getByRole('combobox', { name: 'Processors' })).toHaveAccessibleDescription(reasons[1]!.message)
    await expect.element(device(/Memory.*has an error/)).toBeVisible()
    await expect.element(page.getByText('3 reasons, at the devices that are marked', { exact: false })).toBeVisible()
    await device(/Memory/).click()
    await expect.element(page.getByRole('textbox', { name: 'Memory' })).toHaveAccessibleDescription(reasons[2]!.message)
    expect(host.updates).toEqual([])
    await page.getByRole('button', { name: 'Revert' }).click()
    await expect.element(device(/Memory.*has an error/)).not.toBeInTheDocument()
  })

  test('a move that can be made says what is different for the guest; what cannot be chosen says why', async () => {
    await begin()
    const changes = ['Its disks become virtio disks: a system without drivers for them does not start.']
    host.verdict = (wish) => {
      const base = fakeVerdict(wish)
      return {
        ...base,
        engine: wish.engine === 'qemu' ? 'qemu' : 'embedded',
        engines: { ...base.engines, qemu: { reasons: [], changes } },
        refused: { firmware: { uefi: 'No UEFI firmware was found on this computer.' }, tpm: { true: 'A TPM needs swtpm.' } },
      }
    }
    await show()
    await device(/Engine/).click()
    await expect.element(page.getByRole('checkbox', { name: 'TPM 2.0' })).toBeDisabled()
    await expect.element(page.getByText('A TPM needs swtpm.')).toBeVisible()
    await page.getByRole('combobox', { name: 'Firmware' }).click()
    await expect.element(page.getByRole('option', { name: /^UEFI No UEFI firmware was found/ })).toHaveAttribute('aria-disabled', 'true')
    await userEvent.keyboard('{Escape}')
    await page.getByRole('combobox', { name: 'Engine' }).click()
    await page.getByRole('option', { name: /^QEMU/ }).click()
    await expect.element(page.getByText(changes[0]!)).toBeVisible()
    await save().click()
    await expect.poll(() => host.updates.at(-1)?.patch).toEqual({ engine: 'qemu' })
  })

  test('while it runs the hardware is shown, and why it cannot be changed', async () => {
    await begin({}, { state: 'stopping' })
    await show()
    await expect.element(page.getByText('The hardware can be changed while the machine is off. Now it is shutting down.')).toBeVisible()
    await expect.element(page.getByRole('textbox', { name: 'Memory' })).toBeDisabled()
  })

  test('unsaved changes survive leaving, and are said', async () => {
    await begin()
    const view = await show()
    await page.getByRole('textbox', { name: 'Memory' }).fill('512')
    await view.close()
    await show()
    await expect.element(page.getByText('are kept, but not saved yet', { exact: false })).toBeVisible()
    await expect.element(page.getByRole('textbox', { name: 'Memory' })).toHaveValue('512')
    await page.getByRole('button', { name: 'Revert' }).click()
    await expect.element(page.getByRole('textbox', { name: 'Memory' })).toHaveValue('256')
  })

  test('a change from elsewhere is taken over where nothing was typed', async () => {
    await begin()
    const view = await show()
    await page.getByRole('textbox', { name: 'Memory' }).fill('512')
    machine = host.put({ ...machine, config: { ...machine.config!, memoryMiB: 128, serialPorts: 3 } })
    await view.change({ machine })
    await expect.element(device('Serial ports 3')).toBeVisible()
    await expect.element(page.getByRole('textbox', { name: 'Memory' })).toHaveValue('512')
  })

  test('the arrow keys go from device to device', async () => {
    await begin()
    await show()
    await device(/Memory/).click()
    await userEvent.keyboard('{ArrowDown}')
    await expect.element(page.getByRole('heading', { name: 'Start-up' })).toBeVisible()
  })
})

const data = { id: 'disk0', kind: 'disk', path: '/images/data.img', format: 'raw', readOnly: false, limits: null } as const
const cd = { id: 'cd0', kind: 'cdrom', path: '/isos/debian.iso', format: 'raw', readOnly: true, limits: null } as const
const nic = { id: 'nic0', model: 'virtio', mac: '52:54:00:12:34:56', link: 'auto', network: null } as const

describe('the hardware of a machine that runs', () => {
  test('what can be changed now can be, and only that is sent; what cannot says why', async () => {
    await begin(
      { drives: [data, cd], nics: [nic] },
      { state: 'running', live: fakeLive({ cpus: 'The embedded engine has one processor.' }) },
    )
    await show()
    await expect.element(page.getByText('The machine runs. What is greyed can be changed while it is off, the rest now.')).toBeVisible()
    const memory = page.getByRole('textbox', { name: 'Memory' })
    await expect.element(memory).toHaveAccessibleDescription(/64 to 256 MiB/)
    await memory.fill('128')

    await device(/Engine/).click()
    for (const name of ['Engine', 'Architecture', 'Firmware', 'Processors'])
      await expect.element(page.getByRole('combobox', { name })).toBeDisabled()
    await expect
      .element(page.getByRole('combobox', { name: 'Processors' }))
      .toHaveAccessibleDescription('The embedded engine has one processor.')
    await page.getByRole('combobox', { name: 'Pointer' }).click()
    await page.getByRole('option', { name: /A mouse/ }).click()

    await device('Disk 20 GiB, 3 GiB used').click()
    await expect.element(page.getByRole('textbox', { name: 'Disk image' })).toBeDisabled()
    await expect.element(page.getByRole('checkbox', { name: 'Read-only' })).toBeDisabled()
    await device(/CD drive/).click()
    await expect.element(page.getByRole('button', { name: 'Remove the CD drive' })).toHaveAttribute('aria-disabled', 'true')
    await page.getByRole('button', { name: 'Eject' }).click()

    await device(/Network card/).click()
    await expect.element(page.getByRole('textbox', { name: 'MAC address' })).toBeDisabled()
    await page.getByRole('combobox', { name: 'Network' }).click()
    await page.getByRole('option', { name: /^default/ }).click()
    await expect.element(device('Network card default')).toBeVisible()

    await page.getByRole('button', { name: 'Apply' }).click()
    await expect
      .poll(() => host.updates.at(-1)?.patch)
      .toEqual({ memoryMiB: 128, pointer: 'mouse', drives: [data, { ...cd, path: null }], nics: [{ ...nic, network: 'default' }] })
    expect(host.calls).not.toContain('machines.consider')
  })

  test('a disk and a network card are added; a drive for removable media is not, and the menu says why', async () => {
    await begin({ nics: [] }, { state: 'running', live: fakeLive() })
    await show()
    await page.getByRole('button', { name: 'Add device' }).click()
    const noDrive = page.getByRole('menuitem', { name: /^CD drive/ })
    await expect.element(noDrive).toHaveTextContent('A drive for removable media can be added only while the machine is off.')
    await page.getByRole('menuitem', { name: 'Disk', exact: true }).click()
    await page.getByRole('combobox', { name: 'What it is' }).click()
    await page.getByRole('option', { name: /An image that is there/ }).click()
    await page.getByRole('textbox', { name: 'Image' }).fill('/images/more.img')
    await page.getByRole('dialog').getByRole('button', { name: 'Add', exact: true }).click()
    await page.getByRole('button', { name: 'Add device' }).click()
    await page.getByRole('menuitem', { name: 'Network card' }).click()
    await expect.element(page.getByRole('textbox', { name: 'MAC address' })).toBeEnabled()
    await page.getByRole('button', { name: 'Apply' }).click()
    await expect.poll(() => host.updates.length).toBe(1)
    expect(host.updates[0]!.patch.drives).toMatchObject([{ id: 'disk0', path: '/images/more.img' }])
    expect(host.updates[0]!.patch.nics).toHaveLength(1)
  })

  test('a disk is taken away after a question, and the waiting for the guest can be ended', async () => {
    await begin({ drives: [data] }, { state: 'running', live: fakeLive() })
    const view = await show()
    await device('Disk 20 GiB, 3 GiB used').click()
    await page.getByRole('button', { name: 'Remove the disk' }).click()
    const apply = page.getByRole('button', { name: 'Apply' })
    await apply.click()
    const question = page.getByRole('alertdialog', { name: 'Take the disk data.img from “web-1” while it runs?' })
    await expect.element(question).toHaveTextContent('what is not written to it yet is lost')
    await userEvent.keyboard('{Escape}')
    expect(host.updates).toEqual([])

    host.holdUpdates = true
    await apply.click()
    await question.getByRole('button', { name: 'Take away' }).click()
    await expect.element(page.getByText('Waiting until the guest has let go …')).toBeVisible()
    await page.getByRole('button', { name: 'Stop waiting' }).click()
    await expect.element(page.getByText('Unsaved changes')).toBeVisible()
    await expect.element(page.getByRole('alert')).not.toBeInTheDocument()

    machine = host.put({ ...machine, live: { ...fakeLive(), leaving: ['disk0'] } })
    await view.change({ machine })
    await page.getByRole('button', { name: 'Revert' }).click()
    await device('Disk 20 GiB, 3 GiB used').click()
    await expect.element(page.getByText('The guest was asked to let go of this disk and has not yet', { exact: false })).toBeVisible()
  })

  test('a guest that does not let go is told of, and nothing is lost of what was chosen', async () => {
    await begin({ drives: [data] }, { state: 'running', live: fakeLive() })
    await show()
    await device('Disk 20 GiB, 3 GiB used').click()
    await page.getByRole('button', { name: 'Remove the disk' }).click()
    host.failures.set('machines.update', new AppError('timeout', 'The guest has not released the disk. Unmount it in the guest.').toWire())
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByRole('alertdialog').getByRole('button', { name: 'Take away' }).click()
    await expect.element(page.getByText('The guest has not released the disk. Unmount it in the guest.')).toBeVisible()
    await expect.element(page.getByText('Unsaved changes')).toBeVisible()
  })
})
