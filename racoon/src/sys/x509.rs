//! Functions of OpenSSL for the verification of certificates that the crate `openssl` does not have.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr;

use foreign_types::ForeignTypeRef as _;
use libc::c_int;
use openssl::error::ErrorStack;
use openssl::x509::store::X509StoreBuilderRef;
use openssl::x509::{X509CrlRef, X509StoreContextRef};
use openssl_sys::{self as ffi, X509_CRL, X509_STORE, X509_STORE_CTX};

/// A verification callback: it gets the preliminary result of a step, and returns whether to go on.
type Callback = extern "C" fn(c_int, *mut X509_STORE_CTX) -> c_int;

unsafe extern "C" {
    fn X509_STORE_add_crl(store: *mut X509_STORE, crl: *mut X509_CRL) -> c_int;
    fn X509_STORE_CTX_set_ex_data(context: *mut X509_STORE_CTX, index: c_int, data: *mut c_void) -> c_int;
    fn X509_STORE_CTX_set_verify_cb(context: *mut X509_STORE_CTX, callback: Callback);
}

/// Index of the data that a context carries for its application.
const APPLICATION_DATA: c_int = 0;

/// Depths in a chain, 0 for its first certificate.
type Depths = RefCell<Vec<usize>>;

/// Adds a revocation list to a store, which keeps a reference to it.
///
/// # Errors
/// If OpenSSL has no memory.
pub(crate) fn add_crl(store: &mut X509StoreBuilderRef, crl: &X509CrlRef) -> Result<(), ErrorStack> {
    // SAFETY: both pointers are those of live objects. The store counts its own reference, and the list is not changed:
    // the pointer is mutable only because of that count, which is atomic.
    let added = unsafe { X509_STORE_add_crl(store.as_ptr(), crl.as_ptr()) };
    if added == 1 { Ok(()) } else { Err(ErrorStack::get()) }
}

/// Verifies the certificate of an initialised context, and goes on where there is no revocation list of an issuer. Returns the
/// result, and the depths of the certificates whose issuers have no list.
///
/// # Errors
/// If OpenSSL has no memory.
pub(crate) fn verify_without_lists(context: &mut X509StoreContextRef) -> Result<(bool, Vec<usize>), ErrorStack> {
    let depths = Depths::default();
    // SAFETY: the context is live. The data stays in place until it is removed below, and only the callback uses it.
    let is_set = unsafe {
        X509_STORE_CTX_set_verify_cb(context.as_ptr(), go_on_without_list);
        X509_STORE_CTX_set_ex_data(context.as_ptr(), APPLICATION_DATA, ptr::from_ref(&depths).cast_mut().cast())
    };
    if is_set != 1 {
        return Err(ErrorStack::get());
    }
    let verified = context.verify_cert();
    // SAFETY: as above. Without data the callback tolerates nothing.
    unsafe { X509_STORE_CTX_set_ex_data(context.as_ptr(), APPLICATION_DATA, ptr::null_mut()) };
    Ok((verified?, depths.into_inner()))
}

/// Must not panic, because its caller is C.
extern "C" fn go_on_without_list(valid: c_int, context: *mut X509_STORE_CTX) -> c_int {
    // SAFETY: OpenSSL calls this with the context of the verification in progress.
    let error = unsafe { ffi::X509_STORE_CTX_get_error(context) };
    if valid != 0 || error != ffi::X509_V_ERR_UNABLE_TO_GET_CRL {
        return valid;
    }
    // SAFETY: the data is that of `verify_without_lists`, which waits for this call, or null.
    let depths = unsafe { ffi::X509_STORE_CTX_get_ex_data(context, APPLICATION_DATA).cast::<Depths>().as_ref() };
    let Some(mut depths) = depths.and_then(|depths| depths.try_borrow_mut().ok()) else { return valid };
    // SAFETY: as for the error.
    let depth = unsafe { ffi::X509_STORE_CTX_get_error_depth(context) };
    depths.extend(usize::try_from(depth));
    // SAFETY: as above. Otherwise the error would remain as the result of a successful verification.
    unsafe { ffi::X509_STORE_CTX_set_error(context, ffi::X509_V_OK) };
    1
}
