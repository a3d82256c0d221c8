/**
 * The id of a device as QEMU's events and answers name it: "cd0" of "/machine/peripheral/cd0", of
 * "/machine/peripheral/cd0/virtio-backend" (a virtio device's inner half) and of "cd0". Empty where it is no text.
 */
export function deviceOf(name: unknown): string {
  if (typeof name !== 'string') return ''
  const path = name.replace(/\/virtio-backend$/, '')
  return path.slice(path.lastIndexOf('/') + 1)
}
