import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { page, userEvent } from 'vitest/browser'
import { fakeEntry, fakeMachine, fakeVerdict } from './support/fake-objects.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
afterEach(() => window.close())

const dialog = () => page.getByRole('dialog', { name: 'New machine' })
const field = (name: string) => dialog().getByRole('textbox', { name, exact: true })
const create = () => dialog().getByRole('button', { name: 'Create', exact: true })

describe('an empty library', () => {
  test('welcomes, and goes from one click to a running machine and its console', async () => {
    window = await openWindow()
    await page.getByRole('button', { name: 'Create Coppice Linux' }).click()
    await expect.element(page.getByRole('heading', { level: 1, name: 'Coppice Linux' })).toBeVisible()
    await expect.element(page.getByRole('article').getByText('Running', { exact: true })).toBeVisible()
    await expect.element(page.getByRole('tab', { name: 'Console', selected: true })).toBeVisible()
  })

  test('shows the progress where the button was, and cancels there', async () => {
    window = await openWindow()
    window.host.autoFinishTasks = false
    await page.getByRole('button', { name: 'Create Coppice Linux' }).click()
    const main = page.getByRole('main')
    await expect.element(main.getByRole('progressbar')).toBeVisible()
    await expect.element(main.getByText('Assembling the initial RAM disk')).toBeVisible()
    const [task] = [...window.host.tasks.values()]
    window.host.putTask({ ...task!, progress: { done: 512 * 1024, total: 1024 * 1024, unit: 'bytes' } })
    await expect.element(main.getByText('512 KiB of 1 MiB')).toBeVisible()
    await main.getByRole('button', { name: 'Cancel' }).click()
    await expect.element(page.getByRole('button', { name: 'Create Coppice Linux' })).toBeVisible()
  })

  test('says at the button why a creation failed', async () => {
    window = await openWindow()
    window.host.autoFinishTasks = false
    await page.getByRole('button', { name: 'Create Coppice Linux' }).click()
    await expect.poll(() => window.host.tasks.size).toBe(1)
    const [task] = [...window.host.tasks.values()]
    const error = { code: 'unavailable' as const, message: 'apt-get is not on this computer. Use an image of your own.' }
    window.host.putTask({ ...task!, state: 'failed', error, endedAt: new Date().toISOString() })
    await expect.element(page.getByRole('main').getByText(error.message)).toBeVisible()
  })
})

describe('the New machine dialog', () => {
  beforeEach(async () => {
    window = await openWindow({
      machines: [fakeMachine('Coppice Linux')],
      files: {
        '/home/ada': [
          fakeEntry('/home/ada/isos', { kind: 'folder', bytes: null }),
          fakeEntry('/home/ada/notes.txt'),
          fakeEntry('/home/ada/tiny.iso', { bytes: 4_000_000 }),
        ],
        '/home/ada/isos': [fakeEntry('/home/ada/isos/debian-12.iso', { bytes: 600_000_000 })],
      },
    })
    await expect.element(page.getByRole('article')).toBeVisible()
    await userEvent.keyboard('{Control>}{Shift>}m{/Shift}{/Control}')
    await expect.element(dialog()).toBeVisible()
  })

  test('suggests a free name and starts what it made', async () => {
    await expect.element(field('Name')).toHaveValue('Coppice Linux 2')
    await create().click()
    await expect.element(page.getByRole('heading', { level: 1, name: 'Coppice Linux 2' })).toBeVisible()
    await expect.element(page.getByRole('article').getByText('Running', { exact: true })).toBeVisible()
    await expect.element(dialog()).not.toBeInTheDocument()
  })

  test('leaves it off when asked to; Enter on the last box creates, as in any field', async () => {
    await dialog().getByRole('checkbox', { name: 'Start after creating' }).click()
    await userEvent.keyboard('{Enter}')
    await expect.element(page.getByRole('heading', { level: 1, name: 'Coppice Linux 2' })).toBeVisible()
    expect([...window.host.machines.values()].find(({ name }) => name === 'Coppice Linux 2')!.state).toBe('off')
  })

  test('shows every error at its field and sends nothing', async () => {
    await dialog().getByText('Kernel', { exact: true }).click()
    await field('Name').fill('../evil')
    await dialog().getByRole('textbox', { name: 'Memory', exact: true }).fill('7')
    await create().click()
    await expect.element(field('Kernel')).toHaveAccessibleDescription('Choose a file.')
    await expect.element(field('Kernel')).toHaveFocus()
    await expect.element(field('Name')).toHaveAccessibleDescription(/contains “\/”|full stop/)
    await expect
      .element(dialog().getByRole('textbox', { name: 'Memory', exact: true }))
      .toHaveAccessibleDescription('7 MiB is too little memory. Give the machine at least 16 MiB.')
    expect(window.host.calls).not.toContain('machines.create')
  })

  test('chooses a file with the keyboard, filtered by ending, and names the machine after it', async () => {
    await dialog().getByText('ISO image').click()
    await dialog().getByRole('button', { name: 'Browse…' }).click()
    const picker = page.getByRole('dialog', { name: 'Choose an ISO image' })
    await expect.element(picker.getByRole('option').filter({ hasText: 'tiny.iso' })).toBeVisible()
    await expect.element(picker.getByRole('option').filter({ hasText: 'notes.txt' })).not.toBeInTheDocument()
    await userEvent.keyboard('isos{Enter}')
    await expect.element(picker.getByRole('option').filter({ hasText: 'debian-12.iso' })).toBeVisible()
    await userEvent.keyboard('{Enter}')
    await expect.element(picker).not.toBeInTheDocument()
    await expect.element(field('ISO image')).toHaveValue('/home/ada/isos/debian-12.iso')
    await expect.element(field('Name')).toHaveValue('debian-12')
  })

  test('says which folder cannot be read and stays where it was', async () => {
    await dialog().getByText('ISO image').click()
    await dialog().getByRole('button', { name: 'Browse…' }).click()
    const picker = page.getByRole('dialog', { name: 'Choose an ISO image' })
    const path = picker.getByRole('textbox', { name: 'Folder' })
    await expect.element(path).toHaveValue('/home/ada')
    await path.fill('/nowhere')
    await userEvent.keyboard('{Enter}')
    await expect.element(picker.getByRole('alert')).toHaveTextContent('/nowhere')
    await expect.element(picker.getByRole('option').filter({ hasText: 'tiny.iso' })).toBeVisible()
  })

  test('keeps what was typed when the host refuses it, with the reason at the field', async () => {
    window.host.failures.set('machines.create', {
      code: 'invalid-input',
      message: 'The image is cut short.',
      details: { fields: [{ path: 'source.path', message: 'The image is cut short: 12 bytes.' }] },
    })
    await dialog().getByText('Disk image').click()
    await field('Disk image').fill('/tmp/short.img')
    await create().click()
    await expect.element(field('Disk image')).toHaveAccessibleDescription('The image is cut short: 12 bytes.')
    await expect.element(field('Disk image')).toHaveValue('/tmp/short.img')
  })

  test('shows a failure of the work itself, and can be tried again', async () => {
    window.host.autoFinishTasks = false
    await create().click()
    await expect.element(dialog().getByRole('progressbar')).toBeVisible()
    const [task] = [...window.host.tasks.values()]
    window.host.putTask({
      ...task!,
      state: 'failed',
      error: { code: 'no-space', message: 'The disk is full.' },
      endedAt: new Date().toISOString(),
    })
    await expect.element(dialog().getByText('The disk is full.')).toBeVisible()
    await expect.element(field('Name')).toHaveValue('Coppice Linux 2')
    window.host.autoFinishTasks = true
    await create().click()
    await expect.element(page.getByRole('heading', { level: 1, name: 'Coppice Linux 2' })).toBeVisible()
  })

  test('says what would run it, and offers what can be had on this computer', async () => {
    const why = 'QEMU runs it with KVM, the fastest way on this computer.'
    const noUefi = 'No UEFI firmware for x86_64 systems was found on this computer. Install it (Debian: the package ovmf).'
    window.host.verdict = (wish) => ({
      ...fakeVerdict(wish),
      ...{ engine: 'qemu', version: '7.2.22', accelerator: 'kvm', why, arch: 'x86_64', cpus: 2, memoryMiB: 2048 },
      refused: { firmware: { uefi: noUefi }, tpm: { true: 'A TPM needs the program swtpm.' } },
    })
    await dialog().getByText('ISO image').click()
    await expect.element(dialog().getByRole('combobox', { name: 'Engine' })).toHaveAccessibleDescription(why)
    await expect.element(dialog().getByRole('textbox', { name: 'Memory', exact: true })).toHaveValue('2048')
    await expect.element(dialog().getByRole('combobox', { name: 'Processors' })).toHaveTextContent('2')
    await dialog().getByRole('button', { name: 'More choices' }).click()
    await expect.element(dialog().getByRole('checkbox', { name: 'TPM 2.0' })).toBeDisabled()
    await expect.element(dialog().getByText('A TPM needs the program swtpm.')).toBeVisible()
    await dialog().getByRole('combobox', { name: 'Firmware' }).click()
    await expect.element(page.getByRole('option', { name: `UEFI ${noUefi}` })).toHaveAttribute('aria-disabled', 'true')
    await userEvent.keyboard('{Escape}')
    await field('ISO image').fill('/home/ada/tiny.iso')
    await create().click()
    // What was left alone is the host's to choose.
    await expect
      .poll(() => window.host.created.at(-1))
      .toEqual({
        ...{
          name: 'tiny',
          engine: 'auto',
          serialPorts: 1,
          folder: [],
          disks: [],
          sharedFolders: [],
          start: true,
          firmware: 'bios',
          tpm: false,
        },
        ...{ source: { kind: 'iso', path: '/home/ada/tiny.iso' }, newDiskBytes: 4 * 1024 ** 3, networks: ['default'] },
      })
  })

  test('an engine that is not there cannot be chosen, with the reason; what nothing can run says so at the field', async () => {
    const missing = { path: 'engine', message: 'QEMU was not found on this computer. Install it, or choose another engine.' }
    const tooLarge = { path: 'memoryMiB', message: '4096 MiB is more memory than the embedded engine can give. The most is 2047 MiB.' }
    window.host.verdict = (wish) => ({
      ...fakeVerdict(wish),
      problems: wish.memoryMiB > 2047 ? [tooLarge, missing] : [],
      engines: { embedded: { reasons: [], changes: [] }, qemu: { reasons: [missing], changes: [] } },
    })
    const memory = dialog().getByRole('textbox', { name: 'Memory', exact: true })
    await memory.fill('4096')
    await expect.element(memory).toHaveAccessibleDescription(tooLarge.message)
    await expect.element(dialog().getByRole('combobox', { name: 'Engine' })).toHaveAccessibleDescription(missing.message)
    await dialog().getByRole('combobox', { name: 'Engine' }).click()
    await expect.element(page.getByRole('option', { name: `QEMU ${missing.message}` })).toHaveAttribute('aria-disabled', 'true')
    await userEvent.keyboard('{Escape}')
    await memory.fill('512')
    await expect.element(memory).not.toHaveAccessibleDescription(tooLarge.message)
  })

  test('gives the focus back when it is closed', async () => {
    await userEvent.keyboard('{Escape}')
    await expect.element(dialog()).not.toBeInTheDocument()
    await page.getByRole('navigation').getByRole('button', { name: 'New machine…' }).click()
    await expect.element(dialog()).toBeVisible()
    await userEvent.keyboard('{Escape}')
    await expect.element(page.getByRole('navigation').getByRole('button', { name: 'New machine…' })).toHaveFocus()
  })
})
