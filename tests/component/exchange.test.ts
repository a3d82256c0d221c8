import { afterEach, describe, expect, test } from 'vitest'
import { page } from 'vitest/browser'
import { fakeOffered } from './support/fake-exchange.ts'
import { fakeEntry, fakeMachine } from './support/fake-objects.ts'
import { fakeSnapshot, fakeTree } from './support/fake-snapshots.ts'
import { openWindow, type OpenWindow } from './support/open-window.ts'

let window: OpenWindow
afterEach(() => window.close())

const dialog = () => page.getByRole('dialog')
const button = (name: string) => dialog().getByRole('button', { name, exact: true })
const field = (name: string) => dialog().getByRole('textbox', { name, exact: true })

describe('importing', () => {
  async function open(path: string, offer: Parameters<OpenWindow['host']['exchange']['offers']['set']>[1]): Promise<void> {
    window = await openWindow({ files: { '/home/ada': [fakeEntry('/home/ada/web.ova'), fakeEntry('/home/ada/notes.txt')] } })
    window.host.exchange.offers.set(path, offer)
    await page.getByRole('button', { name: 'Import…' }).click()
    await expect.element(page.getByRole('dialog', { name: 'Import a machine' })).toBeVisible()
  }

  test('a chosen file is shown as what will be made of it, and its machine is opened', async () => {
    const remarks = ['Sound card (AC97): left out.', 'Network card 1 (VMware VMXNET3): is a e1000e here.']
    await open('/home/ada/web.ova', { kind: 'ova', machines: [fakeOffered('web', { remarks })] })
    await expect.element(button('Import')).toBeDisabled()
    await button('Browse…').click()
    await expect.element(page.getByRole('option', { name: /notes/ })).not.toBeInTheDocument()
    await page.getByRole('option', { name: /web\.ova/ }).dblClick()
    await expect.element(field('Name')).toHaveValue('web')
    const made = dialog().getByRole('region', { name: 'What will be made' })
    await expect
      .element(made)
      .toHaveTextContent('64-bit PC · 2 processors · 2 GiB of memory · UEFI · 1 network card QEMU runs it, accelerated by KVM.')
    await expect.element(made.getByRole('list', { name: 'Drives' })).toHaveTextContent('web-disk1.vmdk vmdk · 40 GiB')
    await expect.element(made.getByRole('list', { name: 'Not as it was' })).toHaveTextContent(remarks.join(''))
    await field('Name').fill('mine')
    await button('Import').click()
    await expect.element(page.getByRole('heading', { name: 'mine' })).toBeVisible()
    expect(window.host.exchange.imported).toEqual([{ path: '/home/ada/web.ova', machine: 0, name: 'mine', licencesAccepted: false }])
    await expect.element(dialog()).not.toBeInTheDocument()
  })

  test('shows how far it is, and can be cancelled; what was chosen stays', async () => {
    await open('/a.ova', { kind: 'ova', machines: [fakeOffered('web')] })
    window.host.autoFinishTasks = false
    await field('File').fill('/a.ova')
    await button('Import').click()
    const task = [...window.host.tasks.values()].at(-1)!
    window.host.putTask({ ...task, progress: { done: 10 * 2 ** 30, total: 40 * 2 ** 30, unit: 'bytes' } })
    await expect.element(dialog().getByRole('progressbar')).toHaveAttribute('aria-valuenow', '25')
    await expect.element(dialog()).toHaveTextContent('10 GiB of 40 GiB')
    await expect.element(button('Continue in the background')).toBeVisible()
    await dialog().getByRole('button', { name: 'Cancel', exact: true }).click()
    await expect.element(dialog().getByRole('progressbar')).not.toBeInTheDocument()
    expect(window.host.calls).toContain('tasks.cancel')
    await expect.element(field('File')).toHaveValue('/a.ova')
    await expect.element(button('Import')).toBeEnabled()
  })

  test('one of several machines is chosen, and its licence accepted', async () => {
    const machines = [fakeOffered('web', { problems: ['QEMU is not there.'] }), fakeOffered('db', { licences: ['Be kind.', 'Stay kind.'] })]
    await open('/lab.ova', { kind: 'ova', machines })
    await field('File').fill('/lab.ova')
    await expect.element(dialog().getByRole('alert')).toHaveTextContent('Nothing on this computer can run it as it is QEMU is not there.')
    await dialog().getByRole('combobox', { name: 'Machine' }).click()
    await page.getByRole('option', { name: 'db' }).click()
    await expect.element(field('Name')).toHaveValue('db')
    await expect.element(field('Licence')).toHaveValue('Be kind.\n\nStay kind.')
    await button('Import').click()
    await expect.element(dialog().getByRole('alert')).toHaveTextContent('Without that the machine cannot be imported.')
    expect(window.host.exchange.imported).toEqual([])
    await dialog()
      .getByRole('checkbox', { name: /I have read/ })
      .click()
    await button('Import').click()
    await expect.element(page.getByRole('heading', { name: 'db' })).toBeVisible()
    expect(window.host.exchange.imported).toMatchObject([{ machine: 1, licencesAccepted: true }])
  })

  test('says what is wrong with a file, a machine, a name and the work', async () => {
    await open('/bad.ova', { kind: 'ova', machines: [fakeOffered('web', { refused: '“disk.vmdk” is not in the package.' })] })
    await field('File').fill('/nothing.ova')
    await expect.element(dialog().getByRole('alert')).toHaveTextContent('“/nothing.ova” is not there.')
    await field('File').fill('/bad.ova')
    await expect.element(dialog().getByRole('alert')).toHaveTextContent('“disk.vmdk” is not in the package.')
    await expect.element(button('Import')).toBeDisabled()
    window.host.exchange.offers.set('/good.ova', { kind: 'ova', machines: [fakeOffered('web')] })
    await field('File').fill('/good.ova')
    const message = 'There is already a machine named “web”. Choose another name.'
    window.host.failures.set('exchange.import', { code: 'already-exists', message, details: { fields: [{ path: 'name', message }] } })
    await button('Import').click()
    await expect.element(field('Name')).toHaveAccessibleDescription(message)
    window.host.failures.set('exchange.import', { code: 'no-space', message: 'The disk is full.' })
    await button('Import').click()
    await expect.element(dialog().getByRole('alert')).toHaveTextContent('The disk is full.')
  })
})

describe('exporting', () => {
  async function open(): Promise<string> {
    const machine = fakeMachine('web-1')
    window = await openWindow({ machines: [machine] }, `#/machine/${machine.id}`)
    const first = fakeSnapshot('first')
    window.host.snapshots.put(machine.id, fakeTree([first]))
    await page.getByRole('toolbar', { name: 'Power and more' }).getByRole('button', { name: 'More', exact: true }).click()
    await page.getByRole('menuitem', { name: 'Export…' }).click()
    await expect.element(page.getByRole('dialog', { name: 'Export “web-1”' })).toBeVisible()
    return first.id
  }
  const choose = async (label: string, option: RegExp): Promise<void> => {
    await dialog().getByRole('combobox', { name: label }).click()
    await page.getByRole('option', { name: option }).click()
  }

  test('a state is written as an OVA, with what others will not have', async () => {
    const first = await open()
    window.host.exchange.consider = ({ snapshot }) => ({ remarks: snapshot === null ? ['As it is now.'] : ['As it was.'], refused: null })
    await expect.element(field('File')).toHaveValue('/home/ada/web-1.ova')
    await choose('State', /first/)
    await expect.element(dialog().getByRole('list', { name: 'What other products will not have' })).toHaveTextContent('As it was.')
    await button('Export').click()
    await expect
      .element(page.getByRole('region', { name: 'Notices' }))
      .toHaveTextContent('Exported “web-1” to /home/ada/web-1.ova (3 GiB).')
    expect(window.host.exchange.exported).toMatchObject([{ format: 'ova', snapshot: first, path: '/home/ada/web-1.ova', replace: false }])
  })

  test('a file that is there is replaced only where that is said', async () => {
    await open()
    window.host.exchange.files.add('/home/ada/web-1.coppice')
    await choose('Format', /Coppice archive/)
    await expect.element(field('File')).toHaveValue('/home/ada/web-1.coppice')
    await expect.element(dialog().getByRole('combobox', { name: 'State' })).not.toBeInTheDocument()
    await button('Export').click()
    await expect.element(dialog().getByRole('alert')).toHaveTextContent('There already is something')
    await expect.element(button('Export')).toBeDisabled()
    await dialog().getByRole('checkbox', { name: 'Replace it' }).click()
    await button('Export').click()
    await expect.element(dialog()).not.toBeInTheDocument()
    expect(window.host.exchange.exported).toMatchObject([{ replace: false }, { replace: true, snapshot: null }])
  })

  test('of a machine that runs says why not', async () => {
    await open()
    window.host.exchange.consider = ({ format }) => ({ remarks: [], refused: format === 'coppice' ? '“web-1” is running.' : null })
    await choose('Format', /Coppice archive/)
    await expect.element(dialog().getByRole('alert')).toHaveTextContent('“web-1” is running.')
    await expect.element(button('Export')).toBeDisabled()
  })
})
