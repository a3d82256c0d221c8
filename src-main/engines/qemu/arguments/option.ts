/**
 * How QEMU's options are written: `type,key=value,key=value`, where a comma inside of a value is doubled (QEMU's "Standard options",
 * util/qemu-option.c). Options that take JSON need no doubling, and get none.
 */
import type { Endpoint } from './runtime.ts'

type Value = string | number | boolean | null | undefined

/** A device as `device_add` takes it. */
export type DeviceValues = Readonly<Record<string, string | number | boolean>> & { readonly driver: string; readonly id: string }

/** `first,key=value,…`; true and false become on and off, keys with null or undefined are left away. */
export function option(first: string, values: Readonly<Record<string, Value>> = {}): string {
  const parts = Object.entries(values).flatMap(([key, value]) => {
    if (value === null || value === undefined) return []
    return [`${key}=${typeof value === 'boolean' ? (value ? 'on' : 'off') : escapeValue(String(value))}`]
  })
  return [first, ...parts].join(',')
}

export function escapeValue(text: string): string {
  return text.replaceAll(',', ',,')
}

/** A `-chardev` on which QEMU listens without waiting for anybody. */
export function listeningSocket(id: string, endpoint: Endpoint, more: Readonly<Record<string, Value>> = {}): string[] {
  const where = endpoint.kind === 'unix' ? { path: endpoint.path } : { host: '127.0.0.1', port: endpoint.port }
  return ['-chardev', option('socket', { id, ...where, server: true, wait: false, ...more })]
}

export function device(driver: string, values: Readonly<Record<string, Value>>): string[] {
  return ['-device', option(driver, values)]
}

export function json(flag: '-blockdev' | '-object', value: object): string[] {
  return [flag, JSON.stringify(value)]
}
