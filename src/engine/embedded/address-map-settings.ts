import type { OptionValues } from '../../config/options.ts';
import { type AddressMap, mappedAddress } from '../../control/address-map.ts';
import { PosternError } from '../../errors.ts';
import { nullHosts } from '../../control/messages.ts';

/**
 * What the configuration says to the address map.
 *
 * @throws PosternError `ERR_CONFIG_VALUE` for a line that names the null address
 */
export function addressMapSettings(values: OptionValues): Parameters<AddressMap['configure']> {
  const mappings = values.MapAddress.flatMap((line) =>
    'unused' in line
      ? []
      : { original: mappedAddress(line.from), replacement: mappedAddress(line.to) },
  );
  const addresses = mappings.flatMap(({ original, replacement }) => [original, replacement]);
  if (addresses.some(({ kind, host }) => host === nullHosts[kind])) {
    throw new PosternError('ERR_CONFIG_VALUE', 'MapAddress: the null address cannot be mapped');
  }
  const { VirtualAddrNetworkIPv4: ipv4, VirtualAddrNetworkIPv6: ipv6 } = values;
  return [mappings, { ipv4, ipv6 }];
}
