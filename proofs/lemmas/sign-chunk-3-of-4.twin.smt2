; Twin of sign-chunk-3-of-4: the terms that depend on n alone are left out, and the propagate bit
; can be wrong.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun m () (_ BitVec 3))
(declare-fun n () (_ BitVec 3))
; role 1 shares every monomial of m: s is a stream with role 3, the rest goes to role 2
(declare-fun s1 () (_ BitVec 1))
(define-fun t1 () (_ BitVec 1) (bvxor ((_ extract 0 0) m) s1))
(declare-fun s2 () (_ BitVec 1))
(define-fun t2 () (_ BitVec 1) (bvxor ((_ extract 1 1) m) s2))
(declare-fun s3 () (_ BitVec 1))
(define-fun t3 () (_ BitVec 1) (bvxor (bvand ((_ extract 0 0) m) ((_ extract 1 1) m)) s3))
(declare-fun s4 () (_ BitVec 1))
(define-fun t4 () (_ BitVec 1) (bvxor ((_ extract 2 2) m) s4))
(declare-fun s5 () (_ BitVec 1))
(define-fun t5 () (_ BitVec 1) (bvxor (bvand ((_ extract 0 0) m) ((_ extract 2 2) m)) s5))
(declare-fun s6 () (_ BitVec 1))
(define-fun t6 () (_ BitVec 1) (bvxor (bvand ((_ extract 1 1) m) ((_ extract 2 2) m)) s6))
(declare-fun s7 () (_ BitVec 1))
(define-fun t7 () (_ BitVec 1) (bvxor (bvand ((_ extract 0 0) m) ((_ extract 1 1) m) ((_ extract 2 2) m)) s7))
; a chunk of fewer bits than the largest is filled up: m has no bits there, n has ones
(define-fun padded () (_ BitVec 4) (concat (_ bv1 1) n))
; inner products with functions of n by roles 2 and 3, masked with streams and exchanged
(declare-fun g1 () (_ BitVec 1))
(declare-fun g2 () (_ BitVec 1))
(define-fun g23 () (_ BitVec 1) (bvxor (bvxor (bvand t1 (bvand ((_ extract 0 0) padded) ((_ extract 1 1) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand t2 (bvand ((_ extract 1 1) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand t3 (bvand ((_ extract 0 0) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand t4 (bvand ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand t5 (bvand ((_ extract 0 0) padded) ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand t6 (bvand ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand t7 (bvand ((_ extract 0 0) padded) ((_ extract 3 3) padded)))) (_ bv0 1) g2))
(define-fun g32 () (_ BitVec 1) (bvxor (bvxor (bvand s1 (bvand ((_ extract 0 0) padded) ((_ extract 1 1) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand s2 (bvand ((_ extract 1 1) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand s3 (bvand ((_ extract 0 0) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand s4 (bvand ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand s5 (bvand ((_ extract 0 0) padded) ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand s6 (bvand ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand s7 (bvand ((_ extract 0 0) padded) ((_ extract 3 3) padded)))) g1))
(define-fun g3 () (_ BitVec 1) (bvxor g23 g32))
; inner products with functions of n by roles 2 and 3, masked with streams and exchanged
(declare-fun p1 () (_ BitVec 1))
(declare-fun p2 () (_ BitVec 1))
(define-fun p23 () (_ BitVec 1) (bvxor (bvxor (bvand t1 (bvand ((_ extract 1 1) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand t2 (bvand ((_ extract 0 0) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand t3 (bvand ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand t4 (bvand ((_ extract 0 0) padded) ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand t5 (bvand ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand t6 (bvand ((_ extract 0 0) padded) ((_ extract 3 3) padded))) (bvand t7 ((_ extract 3 3) padded))) (_ bv0 1) p2))
(define-fun p32 () (_ BitVec 1) (bvxor (bvxor (bvand s1 (bvand ((_ extract 1 1) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand s2 (bvand ((_ extract 0 0) padded) ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand s3 (bvand ((_ extract 2 2) padded) ((_ extract 3 3) padded))) (bvand s4 (bvand ((_ extract 0 0) padded) ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand s5 (bvand ((_ extract 1 1) padded) ((_ extract 3 3) padded))) (bvand s6 (bvand ((_ extract 0 0) padded) ((_ extract 3 3) padded))) (bvand s7 ((_ extract 3 3) padded))) p1))
(define-fun p3 () (_ BitVec 1) (bvxor p23 p32))
(assert (or (distinct (bvxor g1 g2 g3) ((_ extract 3 3) (bvadd ((_ zero_extend 1) m) ((_ zero_extend 1) n)))) (distinct (bvxor p1 p2 p3) (bvcomp (bvxor m n) (_ bv7 3)))))
(check-sat)
