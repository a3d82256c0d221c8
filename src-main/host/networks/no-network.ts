export function noNetwork(name: string): string {
  return `There is no network “${name}”. Make it, or choose another.`
}
