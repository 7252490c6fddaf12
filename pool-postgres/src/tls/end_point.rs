//! The hash of a server's certificate, by which a login is bound to the encryption below it
//! (RFC 5929, `tls-server-end-point`).
//!
//! The hash is the one of the certificate's own signature, but none weaker than SHA-256. Signatures
//! that name none (Ed25519) leave nothing to bind to.

use der::asn1::{AnyRef, ContextSpecific, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, TagNumber};
use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

/// The hash of a certificate in DER, if its signature names one.
pub(super) fn of(certificate: &[u8]) -> Option<Vec<u8>> {
    let hash = hash_of_signature(certificate).ok()??;
    Some(digest(hash, certificate).as_ref().to_vec())
}

fn hash_of_signature(certificate: &[u8]) -> der::Result<Option<&'static Algorithm>> {
    AnyRef::from_der(certificate)?.sequence(|certificate| {
        let _signed: AnyRef<'_> = certificate.decode()?;
        let (name, parameters) = certificate.sequence(algorithm)?;
        let _signature: AnyRef<'_> = certificate.decode()?;
        match (name, parameters) {
            (RSA_PSS, Some(parameters)) => hash_of_pss(parameters),
            _ => Ok(hash_of(name)),
        }
    })
}

/// The first parameter, which is SHA-1 unless it is given (RFC 4055, section 3.1).
fn hash_of_pss(parameters: AnyRef<'_>) -> der::Result<Option<&'static Algorithm>> {
    parameters.sequence(|parameters| {
        let hash: Option<ContextSpecific<AnyRef<'_>>> =
            ContextSpecific::decode_explicit(parameters, TagNumber(0))?;
        parameters.drain(parameters.remaining_len())?;
        match hash {
            Some(hash) => Ok(hash_of(hash.value.sequence(algorithm)?.0)),
            None => Ok(Some(&SHA256)),
        }
    })
}

fn algorithm<'a>(
    reader: &mut SliceReader<'a>,
) -> der::Result<(ObjectIdentifier, Option<AnyRef<'a>>)> {
    Ok((reader.decode()?, reader.decode()?))
}

const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");

/// The hash of a signature, or of its parameters (RFC 3279, 4055 and 5758).
fn hash_of(algorithm: ObjectIdentifier) -> Option<&'static Algorithm> {
    let names = [
        // MD5 with RSA, SHA-1 with RSA, SHA-1 with ECDSA, SHA-1.
        ("1.2.840.113549.1.1.4", &SHA256),
        ("1.2.840.113549.1.1.5", &SHA256),
        ("1.2.840.10045.4.1", &SHA256),
        ("1.3.14.3.2.26", &SHA256),
        // SHA-256, 384 and 512: with RSA, with ECDSA, alone.
        ("1.2.840.113549.1.1.11", &SHA256),
        ("1.2.840.10045.4.3.2", &SHA256),
        ("2.16.840.1.101.3.4.2.1", &SHA256),
        ("1.2.840.113549.1.1.12", &SHA384),
        ("1.2.840.10045.4.3.3", &SHA384),
        ("2.16.840.1.101.3.4.2.2", &SHA384),
        ("1.2.840.113549.1.1.13", &SHA512),
        ("1.2.840.10045.4.3.4", &SHA512),
        ("2.16.840.1.101.3.4.2.3", &SHA512),
    ];
    let is_it = |name: &str| ObjectIdentifier::new(name).is_ok_and(|name| name == algorithm);
    let (_, hash) = names.into_iter().find(|(name, _)| is_it(name))?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::of;

    fn openssl(arguments: &[&str]) -> Output {
        let done = Command::new("openssl").args(arguments).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        done
    }

    /// A certificate in DER of a new key, signed as told, and its hash as openssl makes it.
    fn certificate(key: &[&str], signed: &[&str], hash: &str) -> (Vec<u8>, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (certificate, private) = (file("certificate"), file("key"));
        let mut make = vec!["req", "-x509", "-nodes", "-subj", "/CN=db", "-newkey"];
        make.extend(key);
        make.extend(signed);
        make.extend(["-keyout", &private, "-outform", "DER", "-out", &certificate]);
        openssl(&make);
        let hashed = openssl(&["dgst", hash, "-binary", &certificate]).stdout;
        (std::fs::read(&certificate).unwrap(), hashed)
    }

    #[test]
    fn a_certificate_is_hashed_as_it_is_signed_and_never_weaker_than_sha_256() {
        const RSA: &[&str] = &["rsa:2048"];
        const EC: &[&str] = &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        const PSS: [&str; 2] = ["-sigopt", "rsa_padding_mode:pss"];
        for (key, signed, hash) in [
            (RSA, &["-sha1"][..], "-sha256"),
            (RSA, &["-md5"], "-sha256"),
            (RSA, &["-sha256"], "-sha256"),
            (RSA, &["-sha384"], "-sha384"),
            (RSA, &["-sha512"], "-sha512"),
            (RSA, &["-sha1", PSS[0], PSS[1]], "-sha256"),
            (RSA, &["-sha384", PSS[0], PSS[1]], "-sha384"),
            (EC, &["-sha1"], "-sha256"),
            (EC, &["-sha256"], "-sha256"),
            (EC, &["-sha384"], "-sha384"),
            (EC, &["-sha512"], "-sha512"),
        ] {
            let (certificate, hashed) = certificate(key, signed, hash);
            assert_eq!(of(&certificate), Some(hashed), "{key:?} {signed:?}");
        }
    }

    #[test]
    fn what_names_no_hash_has_none() {
        let (certificate, _) = certificate(&["ed25519"], &[], "-sha256");
        assert_eq!(of(&certificate), None);
        assert_eq!(of(&certificate[..100]), None);
        assert_eq!(of(b""), None);
    }
}
